// SPDX-License-Identifier: MIT
/** A state saved by a run: it comes back as it was, and answers as the machine would have. */
import { describe, expect, test } from "vitest";
import { explainState, type StateRequest } from "../../../src/interop/index.ts";
import {
  cellScenario,
  type MachineState,
  parseCell,
  parseState,
  type RunResult,
  runScenario,
  StateError,
  stateText,
} from "../../../src/lab/index.ts";

/** A trace sink that nobody stops, kexec, translation left on. */
function saved(saveAtMs: number | undefined): { readonly state: MachineState; readonly run: RunResult } {
  let state: MachineState | undefined;
  const options = {
    seed: 1,
    replay: "again",
    save: (taken: MachineState) => (state = taken),
    ...(saveAtMs === undefined ? {} : { saveAtMs }),
  };
  const run = runScenario(cellScenario(parseCell("none/tmc-etr/no-hook/kexec")!), options);
  if (state === undefined) throw new Error("nothing was saved");
  return { state, run };
}

const { state: early, run } = saved(0);
/** A write of the sink that the run shows as evidence. */
const landed = run.claims.find(({ claim }) => claim === "no-dma-after-own-shutdown")!.evidence[0]!;
const request: StateRequest = {
  streamId: early.streams.find(({ name }) => name === "etr")!.streamId,
  substreamId: undefined,
  address: BigInt(landed.address!),
  write: true,
  privileged: false,
  instruction: false,
};
const PAGE = 4096;
/** The same with one page of memory. */
const small: MachineState = { ...early, pages: early.pages.slice(0, 1) };

describe("a saved state", () => {
  test("comes back from its text as it was", () => {
    const pages = (state: MachineState): string[] => state.pages.map(({ address, bytes }) => `${address} ${bytes.join()}`);
    expect(pages(parseState(stateText(early))).join("\n") === pages(early).join("\n")).toBe(true);
    expect(parseState(stateText(small))).toEqual(small);
  });

  test("saving changes nothing in the run", () => {
    const plain = runScenario(cellScenario(parseCell("none/tmc-etr/no-hook/kexec")!), { seed: 1, replay: "again" });
    expect(run).toEqual(plain);
  });

  test("translates as the machine did at that moment, and memory says the same before the jump", () => {
    const explained = explainState(parseState(stateText(early)), request);
    expect(Number(explained.withCaches.result.physical)).toBe(landed.physical);
    expect(explained.differs).toBe(false);
    expect(explained.fromMemory?.steps.map(({ title }) => title)).toEqual([
      "level-1 Stream table descriptor",
      "STE",
      "CD",
      "stage 1, level 0",
      "stage 1, level 1",
      "stage 1, level 2",
      "stage 1, level 3",
    ]);
  });

  test("after the jump the caches still translate, while the next kernel's image lies where the tables were", () => {
    const { state } = saved(0.455);
    const explained = explainState(state, request);
    expect(explained.withCaches.result.outcome).toBe("forward");
    expect(explained.withCaches.cached).toEqual(["the STE (configuration cache)", "the CD (configuration cache)", "the translation (TLB)"]);
    expect(explained.differs).toBe(true);
    expect(explained.fromMemory?.result.outcome).toBe("abort");
  });

  test("a look at a state leaves it as it was", () => {
    const before = stateText(small);
    explainState(small, { ...request, address: 0n });
    expect(stateText(small)).toBe(before);
  });

  test("without a moment, the state is that of the end, when the next kernel's tables are in force", () => {
    const { state } = saved(undefined);
    expect(state.moment).toBe("the end of the run");
    const base = (of: MachineState): number | undefined => of.smmu.registers.find(([offset]) => offset === 0x80)?.[1];
    expect(base(state)).not.toBe(base(early));
  });
});

describe("a text that is no state is refused in one line", () => {
  const text = stateText(small);
  const change = (edit: (document: Record<string, unknown>) => void): string => {
    const document = JSON.parse(text) as Record<string, unknown>;
    edit(document);
    return JSON.stringify(document);
  };
  const [firstPage] = Object.keys((JSON.parse(text) as { pages: object }).pages);
  const mistakes: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ["no JSON", "nonsense", /^is no JSON document/],
    ["another document", '{"schema":"quiesce/run@1"}', /^is no quiesce\/state@1 document/],
    ["a list", "[]", /^is no quiesce\/state@1 document/],
    ["a page that is cut short", change((d) => (d["pages"] = { [firstPage!]: "00ff" })), /^pages\.0x\w+: is not 4096 bytes/],
    ["a page outside of memory", change((d) => (d["pages"] = { "0x0": "00".repeat(PAGE) })), /^pages\.0x0: lies outside of memory/],
    ["a page at an odd address", change((d) => (d["pages"] = { "0x80000001": "00".repeat(PAGE) })), /^pages\.0x80000001: lies outside/],
    ["no streams", change((d) => delete d["streams"]), /^streams: /],
  ];
  test.each(mistakes)("%s", (_name, bad, message) => {
    expect(() => parseState(bad)).toThrow(StateError);
    expect(() => parseState(bad)).toThrow(message);
  });

  test("a configuration that no SMMU can have is refused by the SMMU", () => {
    const bad = change((d) => ((d["smmu"] as { config: { oas: number } }).config.oas = 47));
    expect(() => explainState(parseState(bad), request)).toThrow(/OAS is one of/);
  });
});
