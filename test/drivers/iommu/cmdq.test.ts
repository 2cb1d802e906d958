// SPDX-License-Identifier: GPL-2.0-only
/** The command queue: building, batches, one PROD write, CMD_SYNC by CONS and by MSI, timeouts, errors; queue arithmetic. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { type ArmSmmuCmdqEnt, arm_smmu_cmdq_build_cmd } from "../../../src/drivers/iommu/arm-smmu-v3/queues/cmdq-build.ts";
import {
  type ArmSmmuCmdqBatch,
  arm_smmu_cmdq_batch_add,
  arm_smmu_cmdq_batch_submit,
  arm_smmu_cmdq_issue_cmd,
  arm_smmu_cmdq_issue_cmd_with_sync,
} from "../../../src/drivers/iommu/arm-smmu-v3/queues/cmdq.ts";
import { ArmSmmuDevice } from "../../../src/drivers/iommu/arm-smmu-v3/device.ts";
import {
  queue_consumed,
  queue_empty,
  queue_has_space,
  queue_inc_cons,
  queue_inc_prod_n,
} from "../../../src/drivers/iommu/arm-smmu-v3/queues/queue.ts";
import { ETIMEDOUT, local_irq_restore, local_irq_save } from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { FakeSmmu, fakeSmmu, ID_REGISTERS } from "./fake-smmu.ts";
import { Machine } from "./machine.ts";

interface Rig {
  readonly machine: Machine;
  readonly fake: FakeSmmu;
  readonly smmu: ArmSmmuDevice;
}

/** A booted SMMU with 256 commands, nothing recorded yet. */
function rig(ids: Record<number, number> = {}): Rig {
  let fake: FakeSmmu | undefined;
  const machine = new Machine({ sids: [], smmu: fakeSmmu((made) => (fake = made), ids) }).boot();
  const smmu = machine.smmuDevice.drvdata;
  if (!(smmu instanceof ArmSmmuDevice)) throw new Error("not bound");
  fake!.forget();
  return { machine, fake: fake!, smmu };
}

const MSI_IDS = { [R.ARM_SMMU_IDR0]: ID_REGISTERS[R.ARM_SMMU_IDR0]! | R.IDR0_MSI };
const MMU_700_R1P0 = { [R.ARM_SMMU_IIDR]: (0x487 << 20) | (1 << 16) | 0x43b };
const CFGI_ALL: ArmSmmuCmdqEnt = { opcode: R.CMDQ_OP_CFGI_ALL };

function ste(sid: number): ArmSmmuCmdqEnt {
  return { opcode: R.CMDQ_OP_CFGI_STE, sid, leaf: true };
}

function* batch(smmu: ArmSmmuDevice, count: number): Coroutine<number> {
  const commands: ArmSmmuCmdqBatch = [];
  for (let sid = 0; sid < count; sid++) yield* arm_smmu_cmdq_batch_add(smmu, commands, ste(sid));
  return yield* arm_smmu_cmdq_batch_submit(smmu, commands);
}

function prods(fake: FakeSmmu): number[] {
  return fake.writes.filter((write) => write.startsWith("CMDQ_PROD=")).map((write) => Number.parseInt(write.slice(10), 16));
}

describe("arm_smmu_cmdq_issue_cmdlist", () => {
  test("a command and its CMD_SYNC are published by one write of PROD", () => {
    const { machine, fake, smmu } = rig();
    const before = smmu.cmdq.llq.prod;
    expect(machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL))).toBe(0);
    expect(prods(fake)).toEqual([before + 2]);
    expect(fake.opcodes).toEqual([R.CMDQ_OP_CFGI_ALL, R.CMDQ_OP_CMD_SYNC]);
  });

  test("a command without sync is not waited for", () => {
    const { machine, fake, smmu } = rig();
    fake.stuck = true;
    const start = machine.sim.now;
    expect(machine.run(arm_smmu_cmdq_issue_cmd(smmu, CFGI_ALL))).toBe(0);
    expect(machine.sim.now - start).toBeLessThan(1000);
  });

  test("a batch of n commands is one list with one sync", () => {
    const { machine, fake, smmu } = rig();
    expect(machine.run(batch(smmu, 5))).toBe(0);
    expect(prods(fake)).toHaveLength(1);
    expect(fake.opcodes).toEqual([3, 3, 3, 3, 3, R.CMDQ_OP_CMD_SYNC]);
  });

  test("a batch is issued at 64 commands without sync, and only its end waits", () => {
    const { machine, fake, smmu } = rig();
    const start = smmu.cmdq.llq.prod;
    expect(machine.run(batch(smmu, 70))).toBe(0);
    expect(prods(fake)).toEqual([start + 64, start + 64 + 6 + 1]);
    expect(fake.opcodes.filter((opcode) => opcode === R.CMDQ_OP_CMD_SYNC)).toHaveLength(1);
  });

  test("exactly 64 commands are one list with its sync", () => {
    const { machine, fake, smmu } = rig();
    machine.run(batch(smmu, 64));
    expect(prods(fake)).toHaveLength(1);
  });

  test("erratum 2812531: the 64th command goes into a new list, after a sync", () => {
    const { machine, fake, smmu } = rig(MMU_700_R1P0);
    machine.run(batch(smmu, 64));
    expect(fake.opcodes.indexOf(R.CMDQ_OP_CMD_SYNC)).toBe(63);
    expect(fake.opcodes).toHaveLength(66);
  });

  test("CMD_SYNC without MSIs asks for an event, with shareable write-back attributes", () => {
    const { machine, fake, smmu } = rig();
    machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL));
    expect(fake.commands.at(-1)!.words).toEqual([0xfc0_2046n, 0n]);
  });

  test("with MSI polling a CMD_SYNC names its own slot, and its first word becoming zero ends the wait", () => {
    const { machine, fake, smmu } = rig(MSI_IDS);
    const slot = smmu.cmdq.base_dma + 16 * (smmu.cmdq.llq.prod + 1);
    expect(machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL))).toBe(0);
    expect(fake.commands.at(-1)!.words).toEqual([0xfc0_1046n, BigInt(slot)]);
    expect(machine.bus.memory.read8(slot)).toBe(0);
    expect(smmu.cmdq.llq.cons).toBe(smmu.cmdq.llq.prod);
  });

  test("the queue wraps: 300 lists pass through 256 entries in order", () => {
    const { machine, fake, smmu } = rig();
    machine.run(
      (function* () {
        for (let sid = 0; sid < 300; sid++) yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, ste(sid));
      })(),
    );
    const sids = fake.commands.filter(({ opcode }) => opcode === R.CMDQ_OP_CFGI_STE).map(({ words }) => Number(words[0] >> 32n));
    expect(sids).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(smmu.cmdq.llq.prod).toBe((4 + 600) % 512);
  });

  test("a sync that does not complete within a second is -ETIMEDOUT and said so", () => {
    const { machine, fake, smmu } = rig();
    fake.stuck = true;
    const start = machine.sim.now;
    expect(machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL))).toBe(-ETIMEDOUT);
    expect(machine.sim.now - start).toBeGreaterThanOrEqual(1_000_000_000);
    expect(machine.sim.now - start).toBeLessThan(1_100_000_000);
    expect(machine.log.at(-1)).toContain("CMD_SYNC timeout at 0x00000005 [hwprod 0x00000006, hwcons 0x00000004]");
  });

  test("interrupts are off from the first entry to the end of the wait", () => {
    const { machine, fake, smmu } = rig();
    fake.stuck = true;
    machine.run(
      (function* () {
        machine.sim.after(500_000_000, () => fake.gerror(R.GERROR_EVTQ_ABT_ERR));
        yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL);
      })(),
    );
    const timeout = machine.log.findIndex((line) => line.includes("CMD_SYNC timeout"));
    const handled = machine.log.findIndex((line) => line.includes("unexpected global error"));
    expect(timeout).toBeGreaterThan(0);
    expect(handled).toBeGreaterThan(timeout);
  });

  test("it works where sleeping is not allowed", () => {
    const { machine, smmu } = rig();
    const ret = machine.run(
      (function* () {
        const flags = local_irq_save(machine.kernel);
        const result = machine.sim.runAtomic(arm_smmu_cmdq_issue_cmd_with_sync(smmu, CFGI_ALL));
        local_irq_restore(machine.kernel, flags);
        return result;
      })(),
    );
    expect(ret).toBe(0);
  });

  test("a full queue is waited for, and one that never moves ends in the watchdog", () => {
    const { machine, fake, smmu } = rig();
    fake.stuck = true;
    machine.kernel.spawn(
      "filler",
      (function* () {
        for (;;) yield* arm_smmu_cmdq_issue_cmd(smmu, CFGI_ALL);
      })(),
    );
    machine.idle(15_000_000_000);
    expect(machine.log.filter((line) => line.includes("CMDQ timeout"))).toHaveLength(10);
    expect(machine.kernel.oopses.map((oops) => oops.message)).toEqual(["Watchdog detected hard LOCKUP on cpu 0"]);
  });
});

describe("arm_smmu_cmdq_skip_err", () => {
  test("an illegal command is dumped, overwritten by a CMD_SYNC, and the queue goes on after the acknowledge", () => {
    const { machine, fake, smmu } = rig();
    fake.illegalOpcode = R.CMDQ_OP_CFGI_ALL;
    machine.run(arm_smmu_cmdq_issue_cmd(smmu, CFGI_ALL));
    machine.idle(1_000_000);
    expect(machine.log.slice(-5).map((line) => line.replace("arm-smmu-v3 2b400000.smmu: ", ""))).toEqual([
      "unexpected global error reported (0x00000001), this could be serious",
      "CMDQ error (cons 0x01000004): Illegal command",
      "skipping command in error state:",
      "\t0x0000000000000004",
      "\t0x000000000000001f",
    ]);
    expect(fake.opcodes).toEqual([R.CMDQ_OP_CMD_SYNC]);
    expect(fake.reg(R.ARM_SMMU_GERRORN)).toBe(fake.reg(R.ARM_SMMU_GERROR));
    expect(machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, ste(1)))).toBe(0);
  });

  test.each([
    [R.CMDQ_ERR_CERROR_ABT_IDX, "retrying command fetch"],
    [R.CMDQ_ERR_CERROR_ATC_INV_IDX, "ATC invalidate timeout"],
  ])("error %i leaves the command as it is", (error, text) => {
    const { machine, fake, smmu } = rig();
    fake.stuck = true;
    machine.run(arm_smmu_cmdq_issue_cmd(smmu, CFGI_ALL));
    fake.regs.set(R.ARM_SMMU_CMDQ_CONS, BigInt((error << 24) | 4));
    fake.gerror(R.GERROR_CMDQ_ERR);
    machine.idle(1_000_000);
    expect(machine.log.at(-1)).toContain(text);
    expect(smmu.cmdq.base.get64(4 * 16)).toBe(4n);
  });
});

describe("arm_smmu_cmdq_build_cmd", () => {
  test.each<[ArmSmmuCmdqEnt, bigint, bigint]>([
    [{ opcode: R.CMDQ_OP_PREFETCH_CFG, sid: 0x1234 }, 0x1234_0000_0001n, 0n],
    [ste(0x1234), 0x1234_0000_0003n, 1n],
    [CFGI_ALL, 0x04n, 31n],
    [{ opcode: R.CMDQ_OP_CFGI_CD, sid: 1, ssid: 2, leaf: false }, 0x1_0000_2005n, 0n],
    [{ opcode: R.CMDQ_OP_CFGI_CD_ALL, sid: 1 }, 0x1_0000_0006n, 0n],
    [{ opcode: R.CMDQ_OP_TLBI_NH_ASID, vmid: 3, asid: 5 }, 0x0005_0003_0000_0011n, 0n],
    [{ opcode: R.CMDQ_OP_TLBI_NH_VA, vmid: 0, asid: 5, addr: 0xffff_ffff_f000, leaf: true }, 0x0005_0000_0000_0012n, 0xffff_ffff_f001n],
    [
      { opcode: R.CMDQ_OP_TLBI_NH_VA, vmid: 0, asid: 5, addr: 0x1000, leaf: true, num: 30, scale: 2, ttl: 3, tg: 1 },
      0x0005_0000_0021_e012n,
      0x1701n,
    ],
    [{ opcode: R.CMDQ_OP_TLBI_S2_IPA, vmid: 7, addr: 0x2000, leaf: false }, 0x7_0000_002an, 0x2000n],
    [{ opcode: R.CMDQ_OP_TLBI_S12_VMALL, vmid: 7 }, 0x7_0000_0028n, 0n],
    [{ opcode: R.CMDQ_OP_TLBI_EL2_ASID, asid: 9 }, 0x0009_0000_0000_0021n, 0n],
    [{ opcode: R.CMDQ_OP_TLBI_EL2_VA, asid: 9, addr: 0x3000, leaf: true }, 0x0009_0000_0000_0022n, 0x3001n],
    [{ opcode: R.CMDQ_OP_RESUME, sid: 4, stag: 0xabcd, resp: 2 }, 0x4_0000_2044n, 0xabcdn],
    [{ opcode: R.CMDQ_OP_CMD_SYNC, msiaddr: 0x8000_0010 }, 0xfc0_1046n, 0x8000_0010n],
  ])("%o", (ent, low, high) => {
    expect(arm_smmu_cmdq_build_cmd(ent)).toEqual([low, high]);
  });
});

describe("queue positions (IHI 0070 §3.5.1)", () => {
  /** A queue of 2^shift entries whose consumer is `pos` entries from the start and whose producer leads by `fill`. */
  const queues = fc.integer({ min: 1, max: 8 }).chain((shift) => {
    const laps = 2 * 2 ** shift;
    return fc.record({
      shift: fc.constant(shift),
      pos: fc.integer({ min: 0, max: laps - 1 }),
      fill: fc.integer({ min: 0, max: 2 ** shift }),
    });
  });

  test("space, emptiness and consumption follow from how far the producer leads", () => {
    fc.assert(
      fc.property(queues, ({ shift, pos, fill }) => {
        const laps = 2 * 2 ** shift;
        const llq = { cons: pos, prod: (pos + fill) % laps, max_n_shift: shift };
        expect(queue_empty(llq)).toBe(fill === 0);
        for (let n = 0; n <= 2 ** shift; n++) expect(queue_has_space(llq, n)).toBe(n <= 2 ** shift - fill);
        for (let i = 0; i < fill; i++) expect(queue_consumed(llq, (pos + i) % laps)).toBe(false);
        expect(queue_consumed(llq, (pos + laps - 1) % laps)).toBe(true);
      }),
    );
  });

  test("positions move on with their wrap bit and keep the overflow flag", () => {
    fc.assert(
      fc.property(queues, fc.boolean(), ({ shift, pos, fill }, overflow) => {
        const laps = 2 * 2 ** shift;
        const flag = overflow ? R.Q_OVERFLOW_FLAG : 0;
        const llq = { cons: (pos | flag) >>> 0, prod: (pos | flag) >>> 0, max_n_shift: shift };
        expect(queue_inc_prod_n(llq, fill)).toBe((((pos + fill) % laps) | flag) >>> 0);
        queue_inc_cons(llq);
        expect(llq.cons).toBe((((pos + 1) % laps) | flag) >>> 0);
      }),
    );
  });
});
