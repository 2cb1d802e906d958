// SPDX-License-Identifier: MIT
/** Names of the numbers that say how an access ended, for printing. */
import { HostMisuseError } from "../../errors.ts";
import { DmaStatus } from "../../memory/dma-port.ts";
import { BusStatus } from "../../memory/system-bus.ts";
import { Outcome, Via } from "../transaction.ts";
import { alternatives, shown } from "../../checks.ts";

function nameIn<T extends number>(what: string, table: Readonly<Record<string, T>>, value: T): string {
  for (const [name, number] of Object.entries(table)) if (number === value) return name;
  throw new HostMisuseError("UNKNOWN_VALUE", `${shown(value)} is no ${what}: it has to be ${alternatives(Object.values(table))}`);
}

/** "ok", "abort", "razWi", "dropped", "held" or "stalled". @throws HostMisuseError for another number */
export function dmaStatusName(status: DmaStatus): string {
  return nameIn("DmaStatus", DmaStatus, status);
}

/** "ok", "abort" or "poison". @throws HostMisuseError for another number */
export function busStatusName(status: BusStatus): string {
  return nameIn("BusStatus", BusStatus, status);
}

/** "forward", "abort", "razWi" or "stalled". @throws HostMisuseError for another number */
export function outcomeName(outcome: Outcome): string {
  return nameIn("Outcome", Outcome, outcome);
}

/** "none", "globalBypass", "steBypass", "stage1", "stage2" or "nested". @throws HostMisuseError for another number */
export function viaName(via: Via): string {
  return nameIn("Via", Via, via);
}
