// SPDX-License-Identifier: MIT
/** Translation Requests and the cache of a function (PCI Express Base, 10.2): what goes out translated, and what does not. */
import { describe, expect, it } from "vitest";
import { AtsStatus, DmaStatus, HostMisuseError } from "../../../src/hw/index.ts";
import { AtsMachine, type AtsMachineOptions, type Grant } from "./ats-support.ts";
import { BME, MEM } from "./support.ts";

const A = 0x10_0000;
const TO = 0x8000_0000;

function machine(options: AtsMachineOptions & { grant?: Grant } = {}): AtsMachine {
  const { grant, ...rest } = options;
  const made = new AtsMachine(rest);
  made.agent.map(A, { to: TO, ...grant });
  return made;
}

/** Address and kind of each request that left. */
function sent(m: AtsMachine): [number, string][] {
  return m.left.map(({ address, translated }) => [address, translated ? "translated" : "untranslated"]);
}

describe("10.2.1: with ENABLE clear", () => {
  it("every request is untranslated, and nothing is asked for", () => {
    const m = machine({ off: true });
    m.write(A);
    m.read(A);
    expect(sent(m)).toEqual([
      [A, "untranslated"],
      [A, "untranslated"],
    ]);
    expect(m.agent.requests).toEqual([]);
  });
});

describe("10.2.2, 10.2.3: a translation", () => {
  it("is asked for once, and what it covers goes out translated, offset included", () => {
    const m = machine();
    m.write(A + 0x10, 8);
    m.write(A + 0xff8, 8);
    expect(sent(m)).toEqual([
      [TO + 0x10, "translated"],
      [TO + 0xff8, "translated"],
    ]);
    expect(m.agent.requests).toEqual([{ substreamId: -1, addressHi: 0, addressLo: A, noWrite: false, execute: false, privileged: false }]);
  });

  it("of a larger range covers all of it", () => {
    const m = machine({ grant: { to: TO, sizeLog2: 16 } });
    m.read(A);
    m.read(A + 0x5008);
    expect(sent(m)[1]).toEqual([TO + 0x5008, "translated"]);
    expect(m.agent.requests).toHaveLength(1);
  });

  it("an access over two pages goes out as two requests, each by its translation", () => {
    const m = machine();
    m.agent.map(A + 0x1000, { to: TO + 0x9000 });
    expect(m.write(A + 0xffc, 8)).toBe(DmaStatus.ok);
    expect(m.left.map(({ address, length }) => [address, length])).toEqual([
      [TO + 0xffc, 4],
      [TO + 0x9000, 4],
    ]);
  });

  it("is asked for at the smallest translation unit", () => {
    const m = machine({ off: true });
    m.enableAts(4);
    m.agent.map(A, { to: TO, sizeLog2: 16 });
    m.read(A + 0x3004);
    expect(m.agent.requests[0]).toMatchObject({ addressLo: A });
    expect(sent(m)).toEqual([[TO + 0x3004, "translated"]]);
  });

  it("10.2.3.2: of less than the unit counts as Unsupported Request", () => {
    const m = machine({ off: true });
    m.enableAts(4);
    m.read(A);
    expect(sent(m)).toEqual([[A, "untranslated"]]);
    expect(m.dev.ats!.active).toBe(false);
  });

  it("a read asks without write permission (NW), a write with it", () => {
    const m = machine({ grant: { write: false } });
    m.read(A);
    m.agent.map(A, { to: TO });
    m.write(A);
    expect(m.agent.requests.map(({ noWrite }) => noWrite)).toEqual([true, false]);
  });
});

describe("10.2.3.5: permissions", () => {
  it("a write through a translation that is for reading asks for a fresh one", () => {
    const m = machine({ grant: { write: false } });
    m.read(A);
    m.agent.map(A, { to: TO + 0x1000 });
    m.write(A);
    expect(sent(m)[1]).toEqual([TO + 0x1000, "translated"]);
    expect(m.dev.ats!.cache.size).toBe(1);
  });

  it("R = W = 0 is not kept: the next access asks again", () => {
    const m = machine({ grant: { read: false, write: false } });
    expect(m.read(A)).toBe(DmaStatus.abort);
    expect(m.dev.ats!.cache.size).toBe(0);
    m.agent.map(A, { to: TO });
    expect(m.read(A)).toBe(DmaStatus.ok);
  });

  it("without permission the access ends in the function, and the trace says that it went nowhere", () => {
    const m = machine({ grant: { write: false } });
    expect(m.write(A)).toBe(DmaStatus.abort);
    expect(m.left).toEqual([]);
    expect(m.accesses).toMatchObject([{ master: "dev", address: A, physical: undefined, write: true, outcome: "aborted" }]);
  });

  it("or goes out untranslated, in a function that does so", () => {
    const m = machine({ onFault: "untranslated", grant: { read: false, write: false } });
    m.read(A + 4, 4);
    expect(sent(m)).toEqual([[A + 4, "untranslated"]]);
  });
});

describe("10.2.3.4: U", () => {
  it("the range is reached by untranslated requests, without asking again", () => {
    const m = machine({ grant: { untranslatedOnly: true } });
    m.write(A + 4);
    m.write(A + 8);
    expect(sent(m)).toEqual([
      [A + 4, "untranslated"],
      [A + 8, "untranslated"],
    ]);
    expect(m.agent.requests).toHaveLength(1);
  });
});

describe("Table 10-2: a completion without data", () => {
  it("UR: no translation is used until ENABLE goes from 0 to 1, old ones neither", () => {
    const m = machine();
    m.write(A);
    m.agent.status = AtsStatus.unsupportedRequest;
    m.write(A + 0x1000);
    m.write(A);
    m.agent.status = AtsStatus.success;
    m.write(A);
    expect(sent(m)).toEqual([
      [TO, "translated"],
      [A + 0x1000, "untranslated"],
      [A, "untranslated"],
      [A, "untranslated"],
    ]);
    m.disableAts();
    m.enableAts();
    m.write(A);
    expect(sent(m)[4]).toEqual([TO, "translated"]);
  });

  it("UR: a function may keep its cache, and send that access untranslated or fail it", () => {
    for (const [onUnsupported, requests] of [
      ["untranslated", 2],
      ["abort", 1],
    ] as const) {
      const m = machine({ onUnsupported });
      m.agent.status = AtsStatus.unsupportedRequest;
      expect(m.write(A + 0x1000)).toBe(onUnsupported === "abort" ? DmaStatus.abort : DmaStatus.ok);
      m.agent.status = AtsStatus.success;
      m.write(A);
      expect(m.left).toHaveLength(requests);
      expect(m.left.at(-1)).toMatchObject({ address: TO, translated: true });
    }
  });

  it("CA: the access fails, the cache stays in use", () => {
    const m = machine();
    m.agent.status = AtsStatus.completerAbort;
    expect(m.write(A)).toBe(DmaStatus.abort);
    expect(m.left).toEqual([]);
    m.agent.status = AtsStatus.success;
    m.write(A);
    expect(sent(m)).toEqual([[TO, "translated"]]);
  });

  it("CA: or goes out untranslated", () => {
    const m = machine({ onCompleterAbort: "untranslated" });
    m.agent.status = AtsStatus.completerAbort;
    m.write(A);
    expect(sent(m)).toEqual([[A, "untranslated"]]);
  });

  it("without a translation agent every Translation Request is unsupported", () => {
    const m = machine({ agent: false });
    m.write(A);
    expect(sent(m)).toEqual([[A, "untranslated"]]);
  });
});

describe("the cache", () => {
  function fill(m: AtsMachine): void {
    for (let i = 0; i < 3; i++) m.agent.map(A + i * 0x1000, { to: TO + i * 0x1000 });
    m.read(A);
    m.read(A + 0x1000);
    m.read(A);
    m.read(A + 0x2000);
    m.agent.requests.length = 0;
  }

  it("that is full drops what was used longest ago", () => {
    const m = machine({ cache: { capacity: 2 } });
    fill(m);
    m.read(A);
    expect(m.agent.requests).toHaveLength(0);
    m.read(A + 0x1000);
    expect(m.agent.requests).toHaveLength(1);
  });

  it("or what is oldest", () => {
    const m = machine({ cache: { capacity: 2, replacement: "fifo" } });
    fill(m);
    m.read(A + 0x1000);
    expect(m.agent.requests).toHaveLength(0);
    m.read(A);
    expect(m.agent.requests).toHaveLength(1);
  });

  it("of no entries is refused", () => {
    expect(() => machine({ cache: { capacity: 0 } })).toThrow(HostMisuseError);
  });
});

describe("10.3.7: implicit invalidation", () => {
  it.each<[string, (m: AtsMachine) => void]>([
    ["ENABLE from 0 to 1", (m) => (m.disableAts(), m.enableAts())],
    [
      "a Function Level Reset",
      (m) => {
        m.config.write(m.dev.capabilities.express + 8, 0x8000, 2);
        m.config.command(BME | MEM);
        m.enableAts();
      },
    ],
    [
      "a reset",
      (m) => {
        m.root.reset();
        m.config.command(BME | MEM);
        m.enableAts();
      },
    ],
    [
      "D3hot to D0",
      (m) => {
        m.config.write(m.dev.capabilities.pm + 4, 3, 2);
        m.config.write(m.dev.capabilities.pm + 4, 0, 2);
        m.config.command(BME | MEM);
        m.enableAts();
      },
    ],
  ])("%s empties the cache", (_name, event) => {
    const m = machine({ functionLevelReset: true });
    m.write(A);
    event(m);
    m.write(A);
    expect(m.agent.requests).toHaveLength(2);
    expect(sent(m)[1]).toEqual([TO, "translated"]);
  });

  it("a reset leaves ATS disabled", () => {
    const m = machine();
    m.write(A);
    m.root.reset();
    m.config.command(BME | MEM);
    m.write(A);
    expect(sent(m)[1]).toEqual([A, "untranslated"]);
  });

  it("D3hot without a soft reset keeps it", () => {
    const m = machine({ noSoftReset: true });
    m.write(A);
    m.config.write(m.dev.capabilities.pm + 4, 3, 2);
    m.config.write(m.dev.capabilities.pm + 4, 0, 2);
    m.write(A);
    expect(m.agent.requests).toHaveLength(1);
  });
});

describe("bus mastering", () => {
  it("off: no Translation Request goes out, which is a memory request", () => {
    const m = machine();
    m.config.command(MEM);
    expect(m.write(A)).toBe(DmaStatus.dropped);
    expect(m.agent.requests).toEqual([]);
  });

  it("turned off and on again leaves the cache as it was", () => {
    const m = machine();
    m.write(A);
    m.config.command(MEM);
    m.config.command(BME | MEM);
    m.write(A);
    expect(m.agent.requests).toHaveLength(1);
    expect(sent(m)[1]).toEqual([TO, "translated"]);
  });
});

describe("messages", () => {
  it("an MSI-X message is untranslated, also where the cache covers its address", () => {
    const m = machine();
    m.write(A);
    const table = 0x5000_0000;
    m.config.write(0x10 + 12, table, 4);
    m.config.command(BME | MEM);
    m.config.write(m.dev.capabilities.msix + 2, 0x8000, 2);
    const out = [A, 0, 0x55, 0];
    for (const [i, word] of out.entries()) m.bus.write(table + 4 * i, 4, word);
    m.dev.raiseMsix(0);
    expect(sent(m)[1]).toEqual([A, "untranslated"]);
    expect(m.agent.requests).toHaveLength(1);
  });
});

describe("an access that an SMMU stalls", () => {
  it("goes on with its next part by the translation of that, when the stall ends", () => {
    const m = machine({ grant: { untranslatedOnly: true } });
    m.agent.map(A + 0x1000, { to: TO });
    m.answers.push(DmaStatus.stalled);
    const ends: number[] = [];
    const status = m.write(A + 0xffc, 8, { onCompletion: (end) => ends.push(end) });
    expect([status, ends]).toEqual([DmaStatus.held, []]);
    m.stalled[0]!(DmaStatus.ok);
    expect(ends).toEqual([DmaStatus.ok]);
    expect(sent(m)).toEqual([
      [A + 0xffc, "untranslated"],
      [TO, "translated"],
    ]);
  });

  it("an abort at its end ends the access", () => {
    const m = machine({ grant: { untranslatedOnly: true } });
    m.answers.push(DmaStatus.stalled);
    const ends: number[] = [];
    m.read(A + 0xffc, 8, { onCompletion: (end) => ends.push(end) });
    m.stalled[0]!(DmaStatus.abort);
    expect(ends).toEqual([DmaStatus.abort]);
    expect(m.left).toHaveLength(1);
  });
});
