// SPDX-License-Identifier: MIT
/** PASIDs on a function's requests (PCI Express Base, 6.20, 7.8.9): what the control register allows. */
import { describe, expect, it } from "vitest";
import { DmaStatus, HostMisuseError } from "../../../src/hw/index.ts";
import { AtsMachine, EVERYTHING } from "./ats-support.ts";

const A = 0x10_0000;
const ENABLE = 1;
const EXECUTE = 2;
const PRIVILEGED = 4;

/** ATS off, PASID control as given. */
function machine(control: number): AtsMachine {
  const m = new AtsMachine({ extended: EVERYTHING, off: true });
  m.enablePasid(control);
  return m;
}

describe("a request with a PASID", () => {
  it("carries it with PASID Enable", () => {
    const m = machine(ENABLE);
    expect(m.write(A, 4, { substreamId: 5 })).toBe(DmaStatus.ok);
    expect(m.left[0]!.attributes).toMatchObject({ substreamId: 5 });
  });

  it("is not sent without: the function sees it dropped", () => {
    const m = machine(0);
    expect(m.write(A, 4, { substreamId: 5 })).toBe(DmaStatus.dropped);
    expect(m.read(A, 4, { substreamId: 5 })).toBe(DmaStatus.dropped);
    expect(m.left).toEqual([]);
    expect(m.accesses.map(({ outcome }) => outcome)).toEqual(["dropped", "dropped"]);
  });

  it("is not sent where the PASID has more bits than the function", () => {
    expect(machine(ENABLE).write(A, 4, { substreamId: 256 })).toBe(DmaStatus.dropped);
    expect(machine(ENABLE).write(A, 4, { substreamId: 255 })).toBe(DmaStatus.ok);
  });

  it.each([
    [ENABLE, false, false],
    [ENABLE | EXECUTE, true, false],
    [ENABLE | PRIVILEGED, false, true],
    [ENABLE | EXECUTE | PRIVILEGED, true, true],
  ])("control %i: Execute Requested %o, Privileged Mode Requested %o", (control, instruction, privileged) => {
    const m = machine(control);
    m.read(A, 4, { substreamId: 5, instruction: true, privileged: true });
    expect(m.left[0]!.attributes).toMatchObject({ substreamId: 5, instruction, privileged });
  });
});

describe("a request without a PASID", () => {
  it("goes out whatever the control register says, and has neither bit: there is no prefix that would carry them", () => {
    for (const control of [0, ENABLE | EXECUTE | PRIVILEGED]) {
      const m = machine(control);
      expect(m.read(A, 4, { instruction: true, privileged: true })).toBe(DmaStatus.ok);
      expect(m.left[0]!.attributes).not.toHaveProperty("privileged");
      expect(m.left[0]!.attributes).not.toHaveProperty("instruction");
    }
  });
});

describe("with ATS", () => {
  it("the Translation Request carries what the request may carry", () => {
    const m = new AtsMachine({ extended: EVERYTHING, off: true });
    m.enablePasid(ENABLE | EXECUTE);
    m.enableAts();
    m.read(A, 4, { substreamId: 5, instruction: true, privileged: true });
    expect(m.agent.requests).toMatchObject([{ substreamId: 5, execute: true, privileged: false }]);
  });

  it("translations of one PASID, of another and of none are three", () => {
    const m = new AtsMachine({ extended: EVERYTHING });
    for (const [pasid, to] of [
      [-1, 0x1000_0000],
      [1, 0x2000_0000],
      [2, 0x3000_0000],
    ] as const) {
      m.agent.map(A, { to }, pasid);
      m.read(A, 4, pasid === -1 ? {} : { substreamId: pasid });
    }
    expect(m.left.map(({ address }) => address)).toEqual([0x1000_0000, 0x2000_0000, 0x3000_0000]);
  });

  it("10.2.3.7: permissions of privileged requests say nothing about others", () => {
    const m = new AtsMachine({ extended: EVERYTHING });
    m.agent.map(A, { to: 0x1000_0000 }, 1);
    m.read(A, 4, { substreamId: 1, privileged: true });
    m.read(A, 4, { substreamId: 1 });
    expect(m.agent.requests.map(({ privileged }) => privileged)).toEqual([true, false]);
  });

  it("10.2.3.6: executing needs Exe; a read of the same page does not", () => {
    const m = new AtsMachine({ extended: EVERYTHING });
    m.agent.map(A, { to: 0x1000_0000 }, 1);
    expect(m.read(A, 4, { substreamId: 1, instruction: true })).toBe(DmaStatus.abort);
    expect(m.read(A, 4, { substreamId: 1 })).toBe(DmaStatus.ok);
    m.agent.map(A, { to: 0x1000_0000, execute: true }, 1);
    expect(m.read(A, 4, { substreamId: 1, instruction: true })).toBe(DmaStatus.ok);
  });
});

describe("a device model", () => {
  it("that puts a PASID on requests of a function with ATS and without the capability is wrong", () => {
    const m = new AtsMachine();
    expect(() => m.write(A, 4, { substreamId: 1 })).toThrow(HostMisuseError);
  });
});

it("a Translated request has no PASID: no function has the capability for that (7.8.9.2, Translated Requests with PASID)", () => {
  const machine = new AtsMachine({ extended: EVERYTHING });
  machine.agent.map(0x5000, { to: 0x9000 }, 5);
  machine.write(0x5000, 4, { substreamId: 5 });
  expect(machine.left[0]).toMatchObject({ translated: true });
  expect(machine.left[0]!.attributes!.substreamId).toBeUndefined();
});
