// SPDX-License-Identifier: GPL-2.0-only
/** The PRI queue: set up where the SMMU has one, emptied, and every group of requests denied. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ID_REGISTERS } from "./fake-smmu.ts";
import { GERROR_IRQ } from "./machine.ts";
import { type Rig, type RigOptions, rig } from "./support.ts";

const IDS = {
  [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! | R.IDR0_PRI,
  [R.ARM_SMMU_IDR1]: ID_REGISTERS[R.ARM_SMMU_IDR1]! | (3 << 11),
};

function priRig(options: RigOptions = {}): Rig {
  return rig({ sids: [], ids: IDS, ...options });
}

/** A request of StreamID 0x108 for the page 0x12345000, read and write. */
function request({ last = true, pasid = false }: { readonly last?: boolean; readonly pasid?: boolean } = {}): bigint[] {
  const substream = pasid ? (1n << 63n) | (5n << 32n) : 0n;
  return [substream | (last ? 1n << 62n : 0n) | (3n << 60n) | 0x108n, 0x1234_5000n | 7n];
}

function takes(r: Rig, records: readonly (readonly bigint[])[], overflow = false): void {
  r.fake.forget();
  r.fake.pageRequests(records, overflow);
  r.machine.idle(1_000_000);
}

describe("arm_smmu_device_reset", () => {
  test("the queue's registers come after the event queue's, then CR0.PRIQEN", () => {
    const { fake } = priRig();
    const from = fake.order.indexOf("PRIQ_BASE");
    expect(fake.order.slice(from - 4, from + 4)).toEqual([
      "EVTQ_BASE",
      "EVTQ_PROD",
      "EVTQ_CONS",
      "CR0",
      "PRIQ_BASE",
      "PRIQ_PROD",
      "PRIQ_CONS",
      "CR0",
    ]);
    expect(fake.writes.filter((write) => write.startsWith("CR0="))).toEqual(["CR0=0", "CR0=8", "CR0=c", "CR0=e", "CR0=f"]);
    expect(fake.writes.filter((write) => write.startsWith("IRQ_CTRL="))).toEqual(["IRQ_CTRL=0", "IRQ_CTRL=7"]);
  });

  test("with ATS, CR0.ATSCHK comes after it", () => {
    const { fake } = priRig({ ids: { ...IDS, [R.ARM_SMMU_IDR0]: IDS[R.ARM_SMMU_IDR0]! | R.IDR0_ATS } });
    expect(fake.writes.filter((write) => write.startsWith("CR0="))).toEqual(["CR0=0", "CR0=8", "CR0=c", "CR0=e", "CR0=1e", "CR0=1f"]);
  });

  test("its base has size and address; IDR1.PRIQS bounds it", () => {
    const { fake, smmu } = priRig();
    expect(smmu.priq!.llq.max_n_shift).toBe(3);
    expect(fake.regs.get(R.ARM_SMMU_PRIQ_BASE)).toBe((1n << 62n) | BigInt(smmu.priq!.base_dma) | 3n);
  });

  test("in a crash kernel both output queues end up off", () => {
    expect(priRig({ crashKernel: true }).fake.writes.at(-1)).toBe("CR0=9");
  });

  test("a third MSI is its own", () => {
    const { fake, smmu } = priRig({
      ids: { ...IDS, [R.ARM_SMMU_IDR0]: IDS[R.ARM_SMMU_IDR0]! | R.IDR0_MSI },
      node: { msiParent: { label: "v2m", args: [] } },
      frame: { base: 0x2c1c_0000, first: 50, count: 8 },
    });
    expect(smmu).toMatchObject({ evtq_irq: 50, gerr_irq: 51, priq_irq: 52 });
    expect(fake.writes.filter((write) => write.startsWith("PRIQ_IRQ_CFG"))).toEqual([
      "PRIQ_IRQ_CFG0=0",
      "PRIQ_IRQ_CFG0=2c1c0040",
      "PRIQ_IRQ_CFG1=34",
      "PRIQ_IRQ_CFG2=1",
    ]);
  });

  test("a frame with too few vectors leaves the wired interrupts", () => {
    const { fake, smmu, machine } = priRig({
      ids: { ...IDS, [R.ARM_SMMU_IDR0]: IDS[R.ARM_SMMU_IDR0]! | R.IDR0_MSI },
      node: { msiParent: { label: "v2m", args: [] } },
      frame: { base: 0x2c1c_0000, first: 50, count: 2 },
    });
    expect(smmu.gerr_irq).toBe(GERROR_IRQ);
    expect(fake.writes.filter((write) => write.startsWith("EVTQ_IRQ_CFG"))).toEqual(["EVTQ_IRQ_CFG0=0"]);
    expect(machine.log.some((line) => line.includes("failed to allocate MSIs"))).toBe(true);
  });

  test("without an interrupt for it the kernel says that PRI is broken", () => {
    const { machine } = priRig({ node: { interrupts: [40, 41], interruptNames: ["eventq", "gerror"] } });
    expect(machine.log.some((line) => line.includes("no priq irq - PRI will be broken"))).toBe(true);
  });
});

describe("arm_smmu_priq_thread", () => {
  test("a request that ends its group is printed and denied, without a SYNC", () => {
    const r = priRig();
    takes(r, [request()]);
    expect(r.fake.journal).toEqual(["PRI_RESP"]);
    expect(r.fake.commands[0]!.words).toEqual([(0x108n << 32n) | 0x41n, 7n]);
    expect(r.machine.log.slice(-2)).toEqual([
      expect.stringContaining("unexpected PRI request received:"),
      expect.stringContaining("sid 0x00000108.0x00000: [7L] unprivileged RW access at iova 0x0000000012345000"),
    ]);
  });

  test("a response to a request with a PASID has it too", () => {
    const r = priRig();
    takes(r, [request({ pasid: true })]);
    expect(r.fake.commands[0]!.words[0]).toBe((0x108n << 32n) | (5n << 12n) | (1n << 11n) | 0x41n);
  });

  test("only the last request of a group is answered", () => {
    const r = priRig();
    takes(r, [request({ last: false }), request({ last: false }), request()]);
    expect(r.fake.journal).toEqual(["PRI_RESP"]);
    expect(r.fake.reg(R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_CONS)).toBe(3);
  });

  test("an overflow is said and acknowledged", () => {
    const r = priRig();
    takes(r, [request()], true);
    expect(r.machine.log.some((line) => line.includes("PRIQ overflow detected -- requests lost"))).toBe(true);
    expect(r.fake.reg(R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_CONS)).toBe(0x8000_0001);
  });

  test("one interrupt for all empties the PRI queue as well", () => {
    const r = priRig({ node: { interrupts: [42], interruptNames: ["combined"] } });
    takes(r, [request()]);
    expect(r.fake.journal).toEqual(["PRI_RESP"]);
  });
});
