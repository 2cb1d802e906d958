// SPDX-License-Identifier: MIT
/**
 * The layout experiment: what of a verdict depends on where memory lies? The same cells under kexec, on boards whose RAM
 * ends elsewhere, and for several seeds: a seed picks where the clients' buffers lie and when the way down begins.
 */
import { hex } from "../../hw/index.ts";
import { runScenario } from "../run/run.ts";
import { CLIENT_KINDS, type ClientHook, SMMU_POLICIES, type SmmuPolicy } from "../run/types.ts";
import type { Scenario } from "../scenario/types.ts";
import { BOARD } from "../machine/board.ts";
import { cellScenario, cellWords, seedWords } from "./cells.ts";
import { type CellKey, LAYOUTS, type LayoutKey, type LayoutName, type LayoutRow } from "./types.ts";

const GIB = 0x4000_0000;

/** Bytes of RAM from 2 GiB on. */
const RAM_SIZE: Record<LayoutName, number> = { "2-4G": BOARD.ramSize, "2-3G": GIB, "2-8G": 6 * GIB };

/** What each layout is about. */
export const LAYOUT_WORDS: Record<LayoutName, string> = {
  "2-4G": "RAM from 2 to 4 GiB: an IOVA just below 4 GiB is the top of RAM",
  "2-3G": "RAM from 2 to 3 GiB: such an IOVA is no memory",
  "2-8G": "RAM from 2 to 8 GiB: such an IOVA lies in the middle of RAM",
};

/** Seeds beside that of the matrix. */
const MORE_SEEDS = 2;

/** The boards and seeds that each cell is run with: every layout once, the usual one with more seeds. */
export function layoutSamples(seed: number): { readonly layout: LayoutName; readonly seed: number }[] {
  const step = seed + MORE_SEEDS <= Number.MAX_SAFE_INTEGER ? 1 : -1;
  const more = Array.from({ length: MORE_SEEDS }, (_, index) => seed + step * (index + 1));
  return [...LAYOUTS.map((layout) => ({ layout, seed })), ...more.map((other) => ({ layout: LAYOUTS[0], seed: other }))];
}

/** The kinds of machine that are compared: every policy with clients without a hook, and the one that Linux has with clients that stop. */
export const LAYOUT_GROUPS: readonly { readonly smmuShutdown: SmmuPolicy; readonly clientShutdown: ClientHook }[] = [
  ...SMMU_POLICIES.map((smmuShutdown) => ({ smmuShutdown, clientShutdown: "no-hook" as const })),
  { smmuShutdown: "bypass", clientShutdown: "quiescing" },
];

/** Every run of the experiment, in the order of its table. @param seed the matrix's */
export function layoutKeys(seed: number): LayoutKey[] {
  return LAYOUT_GROUPS.flatMap((group) =>
    CLIENT_KINDS.flatMap((client) => layoutSamples(seed).map((sample) => ({ ...group, client, wayDown: "kexec" as const, ...sample }))),
  );
}

/** A cell's scenario on a board with other RAM. */
export function onLayout(scenario: Scenario, layout: LayoutName): Scenario {
  const memory = { base: BOARD.ramBase, size: RAM_SIZE[layout] };
  return { ...scenario, title: `${scenario.title}, RAM ${layout}`, machine: { ...scenario.machine, memory } };
}

/** Reads the name of a layout; undefined if it is none. */
export function parseLayout(text: string): LayoutName | undefined {
  return LAYOUTS.find((name) => name === text);
}

/** Runs one cell on one layout: a pure function of the key. */
export function runLayout(key: LayoutKey): LayoutRow {
  const { layout, seed, ...rest } = key;
  const cell: CellKey = rest;
  const replay = `node bin/quiesce.js run --cell ${cellWords(cell)} --layout ${layout} --seed ${seedWords(seed)}`;
  const scenario = onLayout(cellScenario(cell), layout);
  const run = runScenario(scenario, { seed, replay });
  const { base, size } = scenario.machine.memory;
  return {
    ...cell,
    layout,
    ram: { base: hex(base), size: hex(size) },
    seed: seedWords(seed),
    dma: run.dma,
    foreignWriteBytes: run.foreignWriteBytes,
    nextKernelBytesCorrupted: run.nextKernelBytesCorrupted,
    staleWalks: run.staleWalks,
    secondKernel: run.secondKernel,
    verdict: run.verdict,
    replay,
  };
}
