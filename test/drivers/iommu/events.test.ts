// SPDX-License-Identifier: GPL-2.0-only
/** The event queue's thread and the global error handler. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { FakeSmmu, fakeSmmu, ID_REGISTERS } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, Machine, type MachineOptions } from "./machine.ts";

function rig(options: Partial<MachineOptions> & { readonly ids?: Record<number, number> } = {}): { machine: Machine; fake: FakeSmmu } {
  let fake: FakeSmmu | undefined;
  const machine = new Machine({ ...options, smmu: fakeSmmu((made) => (fake = made), options.ids) }).boot();
  fake!.forget();
  return { machine, fake: fake! };
}

const PREFIX = "arm-smmu-v3 2b400000.smmu: ";
const EVTQ_CONS = R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_EVTQ_CONS;

/** Lines of the SMMU since there were `before` of them. */
function said(machine: Machine, before: number): string[] {
  return machine.log.slice(before).map((line) => line.replace(PREFIX, ""));
}

/** A translation fault of an unprivileged data read at `iova`, stage 1, input address. */
function translationFault(sid: number, iova: bigint): bigint[] {
  return [(BigInt(sid) << 32n) | 0x10n, (1n << 35n) | (2n << 40n), iova, 0n];
}

describe("arm_smmu_evtq_thread", () => {
  test("prints the record as four words and explains it, and moves CONS on page 1", () => {
    const { machine, fake } = rig();
    const before = machine.log.length;
    fake.events([translationFault(CLIENT_SID, 0xdead_b000n)]);
    machine.idle(1_000_000);
    expect(said(machine, before)).toEqual([
      "event 0x10 received:",
      "\t0x0000001000000010",
      "\t0x0000020800000000",
      "\t0x00000000deadb000",
      "\t0x0000000000000000",
      "event: F_TRANSLATION client: 1000.client sid: 0x10 ssid: 0 iova: 0xdeadb000 ipa: 0",
      'unpriv data read s1 "Input address caused fault" stag: 0',
    ]);
    expect(fake.reg(EVTQ_CONS)).toBe(1);
    expect(fake.order).toEqual(["EVTQ_CONS"]);
  });

  test("a stage-2 fault of a privileged instruction fetch during a table walk", () => {
    const { machine, fake } = rig();
    const before = machine.log.length;
    const access = (1n << 33n) | (1n << 34n) | (1n << 35n) | (1n << 39n) | (1n << 40n) | (1n << 44n);
    fake.events([[(0x99n << 32n) | (7n << 12n) | (1n << 11n) | 0x12n, access, 0x1000n, 0x8000_0000n]]);
    machine.idle(1_000_000);
    expect(said(machine, before).slice(-2)).toEqual([
      "event: F_ACCESS client: (unassigned sid) sid: 0x99 ssid: 0x7 iova: 0x1000 ipa: 0x80000000",
      'priv inst read s2 "Stage 1 translation table fetch" ttd_read stag: 0',
    ]);
  });

  test.each([
    [0x03n, "event: F_STE_FETCH client: (unassigned sid) sid: 0x99 ssid: 0 fetch_addr: 0x80001000"],
    [0x02n, "event: C_BAD_STREAMID client: (unassigned sid) sid: 0x99 ssid: 0"],
    [0x0bn, "event: UNKNOWN client: (unassigned sid) sid: 0x99 ssid: 0"],
  ])("event %s", (id, text) => {
    const { machine, fake } = rig();
    fake.events([[(0x99n << 32n) | id, 0n, 0n, 0x8000_1000n]]);
    machine.idle(1_000_000);
    expect(machine.log.at(-1)).toBe(PREFIX + text);
  });

  test("empties the queue across its wrap, acknowledging each record", () => {
    const { machine, fake } = rig();
    for (let round = 0; round < 3; round++) {
      fake.events(Array.from({ length: 100 }, () => translationFault(CLIENT_SID, 0n)));
      machine.idle(100_000_000);
    }
    expect(fake.order.filter((name) => name === "EVTQ_CONS")).toHaveLength(300);
    expect(fake.reg(EVTQ_CONS)).toBe(300 % 256);
  });

  test("prints ten events in five seconds, no more", () => {
    const { machine, fake } = rig();
    fake.events(Array.from({ length: 50 }, () => translationFault(CLIENT_SID, 0n)));
    machine.idle(100_000_000);
    const printed = (): number => machine.log.filter((line) => line.includes("received:")).length;
    expect(printed()).toBe(10);
    machine.idle(6_000_000_000);
    fake.events([translationFault(CLIENT_SID, 0n)]);
    machine.idle(100_000_000);
    expect(printed()).toBe(11);
    expect(machine.log.some((line) => line.includes("40 callbacks suppressed"))).toBe(true);
  });

  test("an overflow is reported once, and CONS takes over the flag", () => {
    const { machine, fake } = rig();
    fake.events([translationFault(CLIENT_SID, 0n)], true);
    machine.idle(1_000_000);
    expect(machine.log.filter((line) => line.includes("EVTQ overflow detected -- events lost"))).toHaveLength(1);
    expect(fake.reg(EVTQ_CONS)).toBe((R.Q_OVERFLOW_FLAG | 1) >>> 0);
  });

  /** STALL_MODEL 0: stall and terminate. */
  const STALLS = { [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! & ~(3 << 24) };
  /** The same fault, but the access waits under STAG 0x55. */
  function stalledFault(sid: number): bigint[] {
    const [word0 = 0n, word1 = 0n] = translationFault(sid, 0x1000n);
    return [word0, word1 | (1n << 31n) | 0x55n, 0x1000n, 0n];
  }

  test("a stalled access of a domain that handles no faults is refused at once, and printed", () => {
    const { machine, fake } = rig({ ids: STALLS, clientProperties: { "dma-can-stall": true } });
    fake.events([stalledFault(CLIENT_SID)]);
    machine.idle(1_000_000);
    expect(fake.commands.map(({ words }) => words)).toEqual([[0x10_0000_2044n, 0x55n]]);
    expect(machine.log.at(-1)).toContain("stall stag: 0x55");
  });

  test("a stalled access of a device that was not to stall is a warning, and stays stalled", () => {
    const { machine, fake } = rig({ ids: STALLS });
    fake.events([stalledFault(CLIENT_SID)]);
    machine.idle(1_000_000);
    expect(fake.commands).toEqual([]);
    expect(machine.kernel.warnings.map(({ message }) => message)).toEqual(["page fault answered of a device that cannot stall"]);
  });

  test("a stalled access of nobody is printed", () => {
    const { machine, fake } = rig({ ids: STALLS });
    fake.events([stalledFault(0x99)]);
    machine.idle(1_000_000);
    expect(fake.commands).toEqual([]);
    expect(machine.log.at(-1)).toContain("stall stag: 0x55");
  });
});

describe("arm_smmu_gerror_handler", () => {
  test.each([
    [R.GERROR_MSI_CMDQ_ABT_ERR, "CMDQ MSI write aborted"],
    [R.GERROR_MSI_EVTQ_ABT_ERR, "EVTQ MSI write aborted"],
    [R.GERROR_MSI_GERROR_ABT_ERR, "GERROR MSI write aborted"],
    [R.GERROR_EVTQ_ABT_ERR, "EVTQ write aborted -- events may have been lost"],
  ])("0x%x is said and acknowledged by GERRORN", (bit, text) => {
    const { machine, fake } = rig();
    fake.gerror(bit);
    machine.idle(1_000_000);
    expect(machine.log.at(-1)).toBe(PREFIX + text);
    expect(fake.writes).toEqual([`GERRORN=${bit.toString(16)}`]);
  });

  test("service failure mode disables the SMMU", () => {
    const { machine, fake } = rig();
    fake.gerror(R.GERROR_SFM_ERR);
    machine.idle(1_000_000);
    expect(fake.writes).toEqual(["CR0=0", "GERRORN=100"]);
  });

  test("an interrupt without an active bit changes nothing", () => {
    const { machine, fake } = rig();
    fake.gerror(0);
    machine.idle(1_000_000);
    expect(fake.writes).toEqual([]);
  });

  test("one combined interrupt serves errors and events", () => {
    const { machine, fake } = rig({ node: { interrupts: [EVTQ_IRQ], interruptNames: ["combined"] } });
    fake.regs.set(R.ARM_SMMU_GERROR, BigInt(R.GERROR_EVTQ_ABT_ERR));
    fake.events([translationFault(CLIENT_SID, 0n)]);
    machine.idle(1_000_000);
    expect(machine.log.some((line) => line.includes("EVTQ write aborted"))).toBe(true);
    expect(machine.log.some((line) => line.includes("event 0x10 received:"))).toBe(true);
  });

  test("without interrupts the driver says what will be missed", () => {
    const { machine } = rig({ node: { interrupts: [], interruptNames: [] }, ids: ID_REGISTERS });
    expect(machine.log.some((line) => line.includes("no evtq irq - events will not be reported!"))).toBe(true);
    expect(machine.log.some((line) => line.includes("no gerr irq - errors will not be reported!"))).toBe(true);
  });
});
