// SPDX-License-Identifier: MIT
/** Hand-made cells. */
import { CLAIMS, type CellKey, type MatrixCell, matrixCellKeys } from "../../../src/lab/index.ts";

/** A cell in which nothing happened. */
export function quietCell(key: CellKey, change: Partial<MatrixCell> = {}): MatrixCell {
  return {
    ...key,
    dma: { afterOwnShutdown: 0, afterSmmuShutdown: 0, translated: 0, bypassed: 0, aborted: 0, undecoded: 0 },
    foreignWriteBytes: 0,
    nextKernelBytesCorrupted: 0,
    staleWalks: 0,
    events: 0,
    eventsLost: 0,
    secondKernel: key.wayDown === "power-off" ? "none" : "up",
    claims: Object.fromEntries(CLAIMS.map((claim) => [claim, "holds"])) as MatrixCell["claims"],
    verdict: "clean",
    replay: "",
    ...change,
  };
}

export function cells(change: (key: CellKey) => Partial<MatrixCell> = () => ({})): MatrixCell[] {
  return matrixCellKeys().map((key) => quietCell(key, change(key)));
}
