// SPDX-License-Identifier: MIT
/** All that a transaction says once it is answered, however it keeps it. */
import type { Transaction } from "../../../../src/hw/index.ts";

export function outputs(tx: Transaction): Record<string, unknown> {
  const { physical, physicalHi, physicalLo, via, event, recorded, attributes, shareability } = tx;
  const { outputInstruction, outputPrivileged, outputKind, stall } = tx;
  return {
    ...{ physical, physicalHi, physicalLo, via, event, recorded, attributes, shareability },
    ...{ outputInstruction, outputPrivileged, outputKind, stall: stall?.stag },
  };
}
