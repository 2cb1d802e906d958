// SPDX-License-Identifier: MIT
/** All that a transaction says once it is answered, however it keeps it. */
import type { Transaction } from "../../../../src/hw/index.ts";

export function outputs(tx: Transaction): Record<string, unknown> {
  const { physical, physicalHi, physicalLo, via, event, recorded, attributes, shareability } = tx;
  const { outputInstruction, outputPrivileged, outputKind } = tx;
  const address = { physical, physicalHi, physicalLo, via };
  const leaving = { attributes, shareability, outputInstruction, outputPrivileged, outputKind };
  return { address, leaving, event, recorded, stag: tx.stall?.stag };
}
