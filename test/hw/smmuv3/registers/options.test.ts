// SPDX-License-Identifier: MIT
/** Options, hosts and transactions that the types forbid: each is refused with what it is and what it can be. */
import { describe, expect, test } from "vitest";
import { Simulation } from "../../../../src/sim/index.ts";
import { Smmu, type SmmuHost, SystemBus, createSmmuHost, profiles, registerOffset } from "../../../../src/hw/index.ts";
import { type Untyped, misuse } from "../tables/misuse.ts";

const simulation = new Simulation();
const bus = new SystemBus(48);
const host = createSmmuHost({ simulation, bus });

describe("options of an Smmu", () => {
  test.each<[unknown, string]>([
    [null, "options of an Smmu: null where an object is expected"],
    [{ cachemode: "none" }, '"cachemode" is unknown, cacheMode is meant'],
    [{ cacheMode: "bogus" }, 'cacheMode of an Smmu is "bogus": it has to be "configured", "none" or "adversarial"'],
    [{ choices: { foo: 1 } }, 'choices of an Smmu: "foo" is unknown; there are unknownReset'],
    [{ choices: { maintenance: "never" } }, 'choice maintenance of an Smmu is "never": it has to be "at-once" or "at-sync"'],
    [{ choices: { eventMerging: "yes" } }, 'choice eventMerging of an Smmu is "yes": it has to be true or false'],
    [{ choices: "x" }, 'choices of an Smmu: "x" where an object is expected'],
    [{ detector: "yes" }, 'detector of an Smmu is "yes": it has to be true or false'],
    [{ frontTier: 0 }, "frontTier of an Smmu is 0: it has to be true or false"],
    [{ trace: {} }, "trace of an Smmu is an object without wants, emit: it has to be a TraceSink"],
    [{ notModelled: true }, "notModelled of an Smmu is true: it has to be a NotModelledLog"],
  ])("%j", (options, said) => {
    expect(() => new Smmu(profiles.max, host, options as Untyped)).toThrow(misuse("SMMU_OPTIONS", said));
  });
  test("a choice that is undefined is left to its default: zero, not a pattern or nothing", () => {
    const smmu = new Smmu(profiles.max, host, { choices: { unknownReset: undefined }, cacheMode: undefined } as Untyped);
    expect(smmu.read(registerOffset("STRTAB_BASE"), 4)).toBe(0);
  });
});

describe("a host of one's own", () => {
  test.each(["now", "after", "load", "store", "peek", "pulse", "sendEvent"])("%s is named when it is missing", (name) => {
    const own = { ...host, [name]: undefined } as Untyped;
    expect(() => new Smmu(profiles.max, own)).toThrow(misuse("SMMU_HOST", `an object without ${name}: it has to be`, "createSmmuHost"));
  });
  test("an event loop of its own suffices for after()", () => {
    const due: (() => void)[] = [];
    const own: SmmuHost = {
      ...host,
      after: (_delayNs, action) => {
        due.push(action);
        return { cancel: () => {} };
      },
    };
    const smmu = new Smmu(profiles.max, own);
    smmu.write(registerOffset("CR0"), 4, 8);
    expect(smmu.read(registerOffset("CR0ACK"), 4)).toBe(0);
    for (const action of due) action();
    expect(smmu.read(registerOffset("CR0ACK"), 4)).toBe(8);
  });
});

describe("createSmmuHost", () => {
  test.each<[string, object, string]>([
    ["a bus that is none", { bus: {} }, "bus is an object without loadWords, storeWords, isRam: it has to be a SystemBus"],
    ["a simulation that is none", { simulation: {} }, "simulation is an object without after"],
    ["a trace that is none", { trace: {} }, "trace is an object without wants, emit"],
    ["a pulse that is no function", { pulse: 1 }, "pulse is 1: it has to be a function"],
    ["an unknown option", { sendevent: () => {} }, '"sendevent" is unknown, sendEvent is meant'],
  ])("%s", (_what, change, said) => {
    expect(() => createSmmuHost({ simulation, bus, ...change } as Untyped)).toThrow(misuse("SMMU_HOST", said));
  });
});

describe("register accesses that no bus can make", () => {
  const code = "REGISTER_ACCESS";
  const smmu = new Smmu(profiles.max, host);
  test.each([2 ** 32, -(2 ** 31) - 1, 0.5, NaN, "1", undefined])("a word of %s", (word) => {
    const value = word as Untyped;
    expect(() => smmu.write(0x20, 4, value)).toThrow(misuse(code, "value of a register write is"));
    expect(() => smmu.write64(0x80, value, 0)).toThrow(misuse(code, "lo of a register write is"));
    expect(() => smmu.write64(0x80, 0, value)).toThrow(misuse(code, "hi of a register write is"));
  });
  test.each([8, 3, 0, undefined])("a width of %s", (width) => {
    expect(() => smmu.read(0x20, width as Untyped)).toThrow(misuse(code, "width of a register access is", "1, 2 or 4"));
    expect(() => smmu.write(0x20, width as Untyped, 0)).toThrow(misuse(code, "width of a register access is", "1, 2 or 4"));
  });
  test.each([-4, 0.5, NaN, "0", undefined])("an offset of %s", (given) => {
    const offset = given as Untyped;
    for (const access of [() => smmu.read(offset, 4), () => smmu.write(offset, 4, 0), () => smmu.read64(offset, new Uint32Array(2))])
      expect(access).toThrow(misuse(code, "offset of a register access is"));
  });
  test("words may be signed, as JavaScript's own operators give them", () => {
    smmu.write(registerOffset("GERROR_IRQ_CFG1"), 4, -1);
    expect(smmu.read(registerOffset("GERROR_IRQ_CFG1"), 4)).toBe(0xffff_ffff);
  });
});
