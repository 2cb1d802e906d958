// SPDX-License-Identifier: MIT
/** Judges every access to memory by the shadow as it happens, and says so in the trace ("lab.landing", "lab.smmu-access"). */
import { BusStatus, type SystemBus } from "../../hw/index.ts";
import type { LabTrace } from "../events.ts";
import { NO_TRESPASS, type OwnershipShadow, type Trespass } from "./ownership.ts";

export interface LandingOptions {
  readonly trace: LabTrace;
  readonly shadow: OwnershipShadow;
  readonly bus: SystemBus;
  /** The kernel's name of each bus master; a master without one is named as it is. */
  readonly deviceOf: ReadonlyMap<string, string>;
  /** The kernel's name of the SMMU. */
  readonly smmu: string;
}

/** Registers are nobody's pages: only what lands in RAM can trespass. */
export function watchLandings({ trace, shadow, bus, deviceOf, smmu }: LandingOptions): void {
  const judge = (device: string, physical: number | undefined, length: number, reached: boolean): readonly Trespass[] =>
    reached && physical !== undefined && bus.isRam(physical, length) ? shadow.trespasses(device, physical, length) : NO_TRESPASS;

  trace.on("dma.access", ({ data }) => {
    const device = deviceOf.get(data.master) ?? data.master;
    const { address, physical, length, write, outcome } = data;
    const reached = physical !== undefined && data.bus === BusStatus.ok && (outcome === "translated" || outcome === "bypassed");
    trace.emit("lab.landing", {
      device,
      write,
      address,
      physical,
      length,
      outcome,
      reached,
      trespasses: judge(device, physical, length, reached),
    });
  });

  trace.on("smmu.access", ({ data }) => {
    const { access, address, length, write } = data;
    const reached = data.bus === BusStatus.ok;
    const trespasses = judge(smmu, address, length, reached);
    trace.emit("lab.smmu-access", {
      device: smmu,
      access,
      write,
      address,
      physical: address,
      length,
      outcome: reached ? "bypassed" : "aborted",
      reached,
      trespasses,
    });
  });
}
