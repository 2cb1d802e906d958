// SPDX-License-Identifier: MIT
/**
 * The positions of the thread of June 2020, each put to the measured cells.
 *
 * A position is a set of findings; a finding counts cells. Nothing here knows an outcome: if the mechanism changed, the
 * counts, the sentences and the conclusions would change with it.
 */
import { CLIENT_HOOKS, type ClientHook, SMMU_POLICIES, type SmmuPolicy, WAYS_DOWN, type WayDown } from "../run/types.ts";
import type { MatrixCell } from "./types.ts";

/** What a finding means for its position: it must hold everywhere, it must hold nowhere, or it is a price to know. */
export type Weight = "for" | "against" | "price";

export interface Finding {
  readonly weight: Weight;
  /** Cells in which it is so, of those that were looked at. */
  readonly count: number;
  readonly of: number;
  readonly text: string;
}

/** What the words of {@link Bearing} mean, for readers. */
export const BEARING_MEANING: readonly string[] = [
  "borne out: what speaks for it is so everywhere, what speaks against it nowhere",
  "contradicted: none of that; in part: some of it; a price does not weigh",
];

export type Bearing = "borne out" | "in part" | "contradicted" | "not measured";

export interface Position {
  readonly id: string;
  readonly title: string;
  readonly who: string;
  readonly says: string;
  readonly findings: readonly Finding[];
  readonly bearing: Bearing;
}

interface Question {
  readonly weight: Weight;
  readonly text: string;
  readonly among: (cell: MatrixCell) => boolean;
  readonly when: (cell: MatrixCell) => boolean;
}

/** Ways down on which Linux walks the device list (device_shutdown). */
const HOOKS_RUN: readonly WayDown[] = ["reboot", "kexec", "power-off"];

const policy =
  (name: SmmuPolicy) =>
  (cell: MatrixCell): boolean =>
    cell.smmuShutdown === name && HOOKS_RUN.includes(cell.wayDown);
const hook =
  (name: ClientHook) =>
  (cell: MatrixCell): boolean =>
    cell.clientShutdown === name && HOOKS_RUN.includes(cell.wayDown);
const kexec =
  (name: SmmuPolicy) =>
  (cell: MatrixCell): boolean =>
    cell.smmuShutdown === name && cell.wayDown === "kexec";
const harmed = (cell: MatrixCell): boolean => cell.verdict === "corrupt";
const strayed = (cell: MatrixCell): boolean => cell.verdict === "corrupt" || cell.verdict === "stray";

interface PositionSpec {
  readonly id: string;
  readonly title: string;
  readonly who: string;
  readonly says: string;
  readonly questions: readonly Question[];
}

const POSITIONS: readonly PositionSpec[] = [
  {
    id: "keep",
    title: "Remove the SMMU's hook and keep translating",
    who: "Sai Prakash Ranjan, RFC of 7 June 2020",
    says: "disabling translation turns every client without a hook into a crash; leave it on",
    questions: [
      { weight: "for", text: "nothing reaches memory by its raw address", among: policy("none"), when: (cell) => cell.dma.bypassed === 0 },
      {
        weight: "against",
        text: "after kexec the SMMU walks tables in memory that was given away",
        among: kexec("none"),
        when: (cell) => cell.staleWalks > 0,
      },
      {
        weight: "against",
        text: "DMA reaches memory nobody granted, translated by old tables or not",
        among: policy("none"),
        when: strayed,
      },
      { weight: "against", text: "memory of the next kernel or of another owner is changed", among: policy("none"), when: harmed },
    ],
  },
  {
    id: "bypass",
    title: "Disable it, as Linux does: clients bypass",
    who: "The drivers as they are; Robin Murphy, 8 June 2020 and March 2024",
    says: "hand the machine on as close to reset as possible; a client that still does DMA is broken anyway",
    questions: [
      {
        weight: "for",
        text: "after kexec no table is walked in memory that was given away",
        among: kexec("bypass"),
        when: (cell) => cell.staleWalks === 0,
      },
      { weight: "against", text: "DMA reaches memory by its raw address", among: policy("bypass"), when: (cell) => cell.dma.bypassed > 0 },
      {
        weight: "price",
        text: "a raw address meant nothing, by luck of the layout",
        among: policy("bypass"),
        when: (cell) => cell.dma.undecoded > 0,
      },
      { weight: "against", text: "memory of the next kernel or of another owner is changed", among: policy("bypass"), when: harmed },
    ],
  },
  {
    id: "abort",
    title: "Leave it aborting",
    who: "Will Deacon, 8 June 2020",
    says: "tables live in memory that is about to be freed: tear translation down, and refuse what comes after",
    questions: [
      { weight: "for", text: "no DMA reaches memory that nobody granted", among: policy("abort"), when: (cell) => !strayed(cell) },
      {
        weight: "for",
        text: "after kexec no table is walked in memory that was given away",
        among: kexec("abort"),
        when: (cell) => cell.staleWalks === 0,
      },
      { weight: "price", text: "clients see their accesses refused", among: policy("abort"), when: (cell) => cell.dma.aborted > 0 },
      {
        weight: "price",
        text: "a claim is broken all the same: the client did not stop",
        among: policy("abort"),
        when: (cell) => cell.verdict === "contained",
      },
    ],
  },
  {
    id: "quiesce",
    title: "Clients must quiesce in their own hooks",
    who: "Will Deacon and Robin Murphy, 8 June 2020",
    says: "after its hook, or after skipping a missing one, a device does no DMA",
    questions: [
      {
        weight: "for",
        text: "a client that stops and proves it is clean, whatever the SMMU does",
        among: hook("quiescing"),
        when: (cell) => cell.verdict === "clean",
      },
      { weight: "price", text: "mainline's hooks are clean", among: hook("mainline"), when: (cell) => cell.verdict === "clean" },
      { weight: "price", text: "clients without a hook are clean", among: hook("no-hook"), when: (cell) => cell.verdict === "clean" },
    ],
  },
];

function bearing(findings: readonly Finding[]): Bearing {
  const weighed = findings.filter(({ weight, of }) => weight !== "price" && of > 0);
  if (weighed.length === 0) return "not measured";
  const good = weighed.filter(({ weight, count, of }) => (weight === "for" ? count === of : count === 0)).length;
  if (good === weighed.length) return "borne out";
  return good === 0 ? "contradicted" : "in part";
}

/** Groups of cells that differ only in what hooks do, and how many of them agree on the verdict. */
function agreeing(cells: readonly MatrixCell[], wayDown: WayDown): { readonly count: number; readonly of: number } {
  const groups = new Map<string, Set<string>>();
  for (const cell of cells) {
    if (cell.wayDown !== wayDown) continue;
    const group = groups.get(cell.client) ?? new Set();
    groups.set(cell.client, group.add(cell.verdict));
  }
  return { count: [...groups.values()].filter((verdicts) => verdicts.size === 1).length, of: groups.size };
}

function crashPosition(cells: readonly MatrixCell[]): Position {
  const findings: Finding[] = WAYS_DOWN.filter((way) => !HOOKS_RUN.includes(way)).map((way) => {
    const { count, of } = agreeing(cells, way);
    return { weight: "for", count, of, text: `${way}: the verdict is the same whatever the hooks would have done (clients counted)` };
  });
  const kdump = cells.filter((cell) => cell.wayDown === "kdump");
  const price = (text: string, when: (cell: MatrixCell) => boolean): void => {
    findings.push({ weight: "price", count: kdump.filter(when).length, of: kdump.length, text });
  };
  price("kdump: devices go on under the crashed kernel's mappings", (cell) => cell.dma.translated > 0);
  price("kdump: they are refused from the SMMU's reset until a driver of the crash kernel has them", (cell) => cell.dma.aborted > 0);
  price("kdump: faults of that time are lost, since no event queue takes them", (cell) => cell.eventsLost > 0);
  findings.push({
    weight: "against",
    count: kdump.filter(harmed).length,
    of: kdump.length,
    text: "kdump: the crash kernel or another owner is harmed",
  });
  return {
    id: "crash",
    title: "A crash runs no hook at all",
    who: "What the shutdown argument leaves out",
    says: "kdump and emergency restart skip device_shutdown: only the reserve and the next SMMU driver protect",
    findings,
    bearing: bearing(findings),
  };
}

/** Every position with its findings, from these cells. */
export function positions(cells: readonly MatrixCell[]): Position[] {
  const argued = POSITIONS.map(({ questions, ...position }): Position => {
    const findings = questions.map(({ weight, text, among, when }): Finding => {
      const looked = cells.filter(among);
      return { weight, text, count: looked.filter(when).length, of: looked.length };
    });
    return { ...position, findings, bearing: bearing(findings) };
  });
  return [...argued, crashPosition(cells)];
}

function list(words: readonly string[]): string {
  return words.length === 0 ? "nothing" : words.length === 1 ? words[0]! : `${words.slice(0, -1).join(", ")} and ${words.at(-1)!}`;
}

/** For each of some groups of cells how many satisfy a test, and the names of the groups in which all do. */
function tally<T extends string>(
  names: readonly T[],
  among: (name: T) => MatrixCell[],
  test: (cell: MatrixCell) => boolean,
): { all: T[]; counts: string } {
  const rows = names.map((name) => {
    const cells = among(name);
    return { name, count: cells.filter(test).length, of: cells.length };
  });
  const measured = rows.filter(({ of }) => of > 0);
  return {
    all: measured.filter(({ count, of }) => count === of).map(({ name }) => name),
    counts: measured.map(({ name, count, of }) => `${name} ${count} of ${of}`).join(", "),
  };
}

/** What happens to DMA in kdump between the crash kernel's reset of the SMMU and its drivers. */
function crashWindow(kdump: readonly MatrixCell[]): string[] {
  if (kdump.length === 0) return [];
  const refused = kdump.filter(({ dma }) => dma.aborted > 0);
  const lost = kdump.filter(({ eventsLost }) => eventsLost > 0);
  const accesses = refused.reduce((sum, { dma }) => sum + dma.aborted, 0);
  const events = lost.reduce((sum, cell) => sum + cell.eventsLost, 0);
  return [
    `In kdump a client that is at work is refused by the crash kernel's SMMU until its own driver is there: ${refused.length} of ${kdump.length} cells, ${accesses} accesses; ${lost.length} cells lose the faults that tell of it, ${events} events.`,
  ];
}

/** The verdict on the thread's question: which shutdown design stops the harm, and which stops the DMA. */
export function conclusion(cells: readonly MatrixCell[]): string[] {
  const harmless = tally(
    SMMU_POLICIES,
    (name) => cells.filter(policy(name)),
    (cell) => !strayed(cell),
  );
  const silent = tally(
    CLIENT_HOOKS,
    (name) => cells.filter(hook(name)),
    (cell) => cell.verdict === "clean",
  );
  const unhooked = WAYS_DOWN.filter((way) => !HOOKS_RUN.includes(way));
  const crashes = cells.filter(({ wayDown }) => unhooked.includes(wayDown));
  const groups = unhooked.map((way) => agreeing(cells, way));
  const same = groups.reduce((sum, { count }) => sum + count, 0);
  const asked = groups.reduce((sum, { of }) => sum + of, 0);
  return [
    `What stops the harm at the SMMU: ${list(harmless.all)} (cells in which nothing strays: ${harmless.counts}).`,
    `What stops the DMA at its source: ${list(silent.all)} (clean cells under every SMMU policy: ${silent.counts}).`,
    ...(crashes.length === 0
      ? []
      : [
          `${list(unhooked)} run no shutdown hook: for ${same} of ${asked} pairs of client and way down the verdict is the same whatever hooks there are; ${crashes.filter(harmed).length} of ${crashes.length} cells are corrupt.`,
        ]),
    ...crashWindow(cells.filter(({ wayDown }) => wayDown === "kdump")),
  ];
}
