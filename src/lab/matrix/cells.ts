// SPDX-License-Identifier: MIT
/** The cells of the matrix: which there are, the scenario of each, and what a run puts into it. */
import { type RunResult, claimWords } from "../run/result.ts";
import { runScenario } from "../run/run.ts";
import { CLIENT_HOOKS, CLIENT_KINDS, type ClientKind, SMMU_POLICIES, WAYS_DOWN } from "../run/types.ts";
import { PROBE_MS } from "../scenario/schema.ts";
import type { DeviceSpec, Scenario } from "../scenario/types.ts";
import { BOARD, STREAM_IDS } from "../machine/board.ts";
import type { AnyCellKey, CellKey, CellResult, LayoutRow, Matrix, MatrixCell, OrderRow } from "./types.ts";

/** Names of the clients on the lab's board. */
export const CLIENT_NAMES: Record<ClientKind, string> = { e1000e: "nic", hdlcd: "hdlcd", "tmc-etr": "etr" };

/** Every cell, in the order of the matrix. */
export function matrixCellKeys(): CellKey[] {
  return CLIENT_KINDS.flatMap((client) =>
    CLIENT_HOOKS.flatMap((clientShutdown) =>
      SMMU_POLICIES.flatMap((smmuShutdown) => WAYS_DOWN.map((wayDown) => ({ smmuShutdown, client, clientShutdown, wayDown }))),
    ),
  );
}

/** Reads `bypass/hdlcd/no-hook/kexec`; undefined if that is no cell of the matrix. */
export function parseCell(text: string): CellKey | undefined {
  return matrixCellKeys().find((key) => cellWords(key) === text);
}

/** The name of a cell; a crash kernel that does other than Linux's stands behind the way down, as in `…/kdump/adopt`. */
export function cellWords({ smmuShutdown, client, clientShutdown, wayDown, kdumpPolicy }: AnyCellKey): string {
  const policy = kdumpPolicy === undefined || kdumpPolicy === "reset-abort" ? "" : `/${kdumpPolicy}`;
  return `${smmuShutdown}/${client}/${clientShutdown}/${wayDown}${policy}`;
}

export function boardDevice(kind: ClientKind, options: Partial<DeviceSpec> = {}): DeviceSpec {
  return {
    name: CLIENT_NAMES[kind],
    kind,
    bus: kind === "e1000e" ? "pci" : "platform",
    hook: "mainline",
    streamId: STREAM_IDS[kind],
    driver: "built-in",
    active: true,
    linkToSmmu: false,
    ...options,
  };
}

/** What the cells share; each has one client, and the SMMU's node comes first. */
export const BASE_SCENARIO: Omit<Scenario, "title" | "wayDown"> = {
  story: "A cell of the shutdown matrix.",
  source: "linux-iommu, June 2020",
  machine: {
    memory: { base: BOARD.ramBase, size: BOARD.ramSize },
    smmu: { profile: "linux-typical", base: BOARD.smmuBase, shutdown: "bypass", driver: "built-in", caches: "configured" },
    pci: { busMasterOff: "drop" },
    devices: [],
    smmuNode: 0,
    resetDelayMs: 10,
  },
  kernel: {
    fwDevlink: "rpm",
    fwDevlinkStrict: false,
    devicesKset: "register",
    asyncShutdown: "off",
    cpus: 1,
    panicTimeoutSec: 0,
    passthrough: false,
    lazy: false,
    crashReserve: {},
    kdumpPolicy: "reset-abort",
  },
  boot: { probeMs: PROBE_MS },
  workload: { beforeMs: 20, afterMs: 20, frames: { periodUs: 200, bytes: 128, jitterPercent: 20 } },
  next: { clientDrivers: true, handoverMs: 5 },
  expect: { holds: [], broken: [] },
};

export function cellScenario(key: AnyCellKey): Scenario {
  const { machine, kernel } = BASE_SCENARIO;
  return {
    ...BASE_SCENARIO,
    title: cellWords(key),
    machine: {
      ...machine,
      smmu: { ...machine.smmu, shutdown: key.smmuShutdown },
      devices: [boardDevice(key.client, { hook: key.clientShutdown })],
    },
    kernel: { ...kernel, kdumpPolicy: key.kdumpPolicy ?? kernel.kdumpPolicy },
    wayDown: key.wayDown,
  };
}

export function seedWords(seed: number): string {
  return `0x${seed.toString(16)}`;
}

/** Runs one cell: a pure function of the key and the seed. */
export function runCell(key: AnyCellKey, seed: number): RunResult {
  return runScenario(cellScenario(key), { seed, replay: `node bin/quiesce.js run --cell ${cellWords(key)} --seed ${seedWords(seed)}` });
}

export function cellResult(run: RunResult): CellResult {
  return {
    dma: run.dma,
    foreignWriteBytes: run.foreignWriteBytes,
    nextKernelBytesCorrupted: run.nextKernelBytesCorrupted,
    staleWalks: run.staleWalks,
    events: run.events.recorded + run.events.lost,
    eventsLost: run.events.lost,
    secondKernel: run.secondKernel,
    claims: claimWords(run.claims),
    verdict: run.verdict,
    replay: run.replay,
  };
}

/**
 * Puts a matrix together. Runs and rows stand in the order of their keys; undefined ones were not finished.
 * @param only what the names of the cells had to have in them, if not all were asked for
 */
export function assembleMatrix(
  seed: number,
  keys: readonly CellKey[],
  runs: readonly (RunResult | undefined)[],
  rows: readonly (OrderRow | undefined)[],
  layoutRows: readonly (LayoutRow | undefined)[],
  only?: string,
): { readonly document: Matrix; readonly runsByCell: ReadonlyMap<MatrixCell, RunResult> } {
  const runsByCell = new Map<MatrixCell, RunResult>();
  for (const [index, key] of keys.entries()) {
    const run = runs[index];
    if (run) runsByCell.set({ ...key, ...cellResult(run) }, run);
  }
  const order = rows.filter((row) => row !== undefined);
  const layout = layoutRows.filter((row) => row !== undefined);
  const complete = runsByCell.size === matrixCellKeys().length && order.length === rows.length && layout.length === layoutRows.length;
  return {
    document: {
      schema: "quiesce/matrix@1",
      seed: seedWords(seed),
      complete,
      ...(only === undefined ? {} : { only }),
      cells: [...runsByCell.keys()],
      order,
      layout,
    },
    runsByCell,
  };
}
