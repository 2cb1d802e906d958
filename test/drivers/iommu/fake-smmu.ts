// SPDX-License-Identifier: GPL-2.0-only
/**
 * An SMMU for tests that watch the driver: it records every register write and every command, acknowledges what it is
 * told to, and can be broken on purpose.
 */
import type { MmioDevice } from "../../../src/hw/index.ts";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { EVTQ_IRQ, GERROR_IRQ, PRIQ_IRQ, type Machine, type SmmuMaker } from "./machine.ts";

/** An SMMU like Linux's reference: stage 1 and 2, two-level tables, 2^8 commands, 2^7 events, 16-bit ids, 48-bit addresses. */
export const ID_REGISTERS: Readonly<Record<number, number>> = {
  // ST_LVL=1 TTENDIAN=LE CD2L VMID16 ASID16 COHACC TTF=AArch64 S1P S2P, STALL_MODEL=terminate only
  [R.ARM_SMMU_IDR0]: (1 << 27) | (1 << 24) | (2 << 21) | (1 << 19) | (1 << 18) | (1 << 12) | (1 << 4) | (2 << 2) | 3,
  // CMDQS=8 EVTQS=7 SSIDSIZE=0 SIDSIZE=16
  [R.ARM_SMMU_IDR1]: (8 << 21) | (7 << 16) | 16,
  [R.ARM_SMMU_IDR3]: 0,
  // 4 KiB granule, OAS=48
  [R.ARM_SMMU_IDR5]: (1 << 4) | 5,
  [R.ARM_SMMU_IIDR]: 0,
};

/** Registers by name, for readable lists. */
const NAMES: Readonly<Record<number, string>> = {
  [R.ARM_SMMU_CR0]: "CR0",
  [R.ARM_SMMU_CR1]: "CR1",
  [R.ARM_SMMU_CR2]: "CR2",
  [R.ARM_SMMU_GBPA]: "GBPA",
  [R.ARM_SMMU_IRQ_CTRL]: "IRQ_CTRL",
  [R.ARM_SMMU_GERRORN]: "GERRORN",
  [R.ARM_SMMU_GERROR_IRQ_CFG0]: "GERROR_IRQ_CFG0",
  [R.ARM_SMMU_GERROR_IRQ_CFG1]: "GERROR_IRQ_CFG1",
  [R.ARM_SMMU_GERROR_IRQ_CFG2]: "GERROR_IRQ_CFG2",
  [R.ARM_SMMU_STRTAB_BASE]: "STRTAB_BASE",
  [R.ARM_SMMU_STRTAB_BASE_CFG]: "STRTAB_BASE_CFG",
  [R.ARM_SMMU_CMDQ_BASE]: "CMDQ_BASE",
  [R.ARM_SMMU_CMDQ_PROD]: "CMDQ_PROD",
  [R.ARM_SMMU_CMDQ_CONS]: "CMDQ_CONS",
  [R.ARM_SMMU_EVTQ_BASE]: "EVTQ_BASE",
  [R.ARM_SMMU_EVTQ_IRQ_CFG0]: "EVTQ_IRQ_CFG0",
  [R.ARM_SMMU_EVTQ_IRQ_CFG1]: "EVTQ_IRQ_CFG1",
  [R.ARM_SMMU_EVTQ_IRQ_CFG2]: "EVTQ_IRQ_CFG2",
  [R.ARM_SMMU_PRIQ_BASE]: "PRIQ_BASE",
  [R.ARM_SMMU_PRIQ_IRQ_CFG0]: "PRIQ_IRQ_CFG0",
  [R.ARM_SMMU_PRIQ_IRQ_CFG1]: "PRIQ_IRQ_CFG1",
  [R.ARM_SMMU_PRIQ_IRQ_CFG2]: "PRIQ_IRQ_CFG2",
  [R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_PROD]: "PRIQ_PROD",
  [R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_PRIQ_CONS]: "PRIQ_CONS",
  [R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_EVTQ_PROD]: "EVTQ_PROD",
  [R.ARM_SMMU_PAGE1_OFFSET + R.ARM_SMMU_EVTQ_CONS]: "EVTQ_CONS",
};

const COMMAND_NAMES: Readonly<Record<number, string>> = {
  [R.CMDQ_OP_CFGI_STE]: "CFGI_STE",
  [R.CMDQ_OP_CFGI_CD]: "CFGI_CD",
  [R.CMDQ_OP_TLBI_NH_ASID]: "TLBI_NH_ASID",
  [R.CMDQ_OP_TLBI_NH_VA]: "TLBI_NH_VA",
  [R.CMDQ_OP_TLBI_NH_ALL]: "TLBI_NH_ALL",
  [R.CMDQ_OP_TLBI_S2_IPA]: "TLBI_S2_IPA",
  [R.CMDQ_OP_TLBI_S12_VMALL]: "TLBI_S12_VMALL",
  [R.CMDQ_OP_ATC_INV]: "ATC_INV",
  [R.CMDQ_OP_PRI_RESP]: "PRI_RESP",
  [R.CMDQ_OP_CMD_SYNC]: "SYNC",
};

/** A command as fetched: opcode and both words. */
export interface FakeCommand {
  readonly opcode: number;
  readonly words: readonly [bigint, bigint];
}

export class FakeSmmu implements MmioDevice {
  readonly regs = new Map<number, bigint>();
  /** `NAME=hex` of every write, in order. */
  readonly writes: string[] = [];
  /** Offsets of ID registers in the order in which they were read. */
  readonly idReads: number[] = [];
  readonly commands: FakeCommand[] = [];
  /** Commands by name, without prefetches, and what a test adds of other devices, in order. */
  readonly journal: string[] = [];
  /** Commands are not consumed. */
  stuck = false;
  /** CR0 is not acknowledged. */
  deaf = false;
  /** The command with this opcode is an error. */
  illegalOpcode = -1;
  readonly #machine: Machine;

  constructor(machine: Machine, ids: Readonly<Record<number, number>> = {}) {
    this.#machine = machine;
    for (const [offset, value] of Object.entries({ ...ID_REGISTERS, ...ids })) this.regs.set(Number(offset), BigInt(value >>> 0));
  }

  reg(offset: number): number {
    return Number((this.regs.get(offset) ?? 0n) & 0xffff_ffffn);
  }

  read(offset: number): number {
    if (offset <= R.ARM_SMMU_IIDR) this.idReads.push(offset);
    return this.reg(offset);
  }

  read64(offset: number, out: Uint32Array): void {
    const value = this.regs.get(offset) ?? 0n;
    out[0] = Number(value & 0xffff_ffffn);
    out[1] = Number(value >> 32n);
  }

  write(offset: number, _width: number, value: number): void {
    this.#record(offset, BigInt(value));
    switch (offset) {
      case R.ARM_SMMU_CR0:
        if (!this.deaf) this.regs.set(R.ARM_SMMU_CR0ACK, BigInt(value));
        this.#consume();
        break;
      case R.ARM_SMMU_IRQ_CTRL:
        this.regs.set(R.ARM_SMMU_IRQ_CTRLACK, BigInt(value));
        break;
      case R.ARM_SMMU_GBPA:
        this.regs.set(offset, BigInt((value & ~R.GBPA_UPDATE) >>> 0));
        break;
      case R.ARM_SMMU_CMDQ_PROD:
      case R.ARM_SMMU_GERRORN:
        this.#consume();
        break;
      default:
    }
  }

  write64(offset: number, lo: number, hi: number): void {
    this.#record(offset, (BigInt(hi) << 32n) | BigInt(lo));
  }

  #record(offset: number, value: bigint): void {
    this.regs.set(offset, value);
    this.writes.push(`${NAMES[offset] ?? `0x${offset.toString(16)}`}=${value.toString(16)}`);
  }

  /** Consumes commands at once, unless something is in the way. */
  #consume(): void {
    if (this.stuck || (this.reg(R.ARM_SMMU_CR0) & R.CR0_CMDQEN) === 0) return;
    const base = this.regs.get(R.ARM_SMMU_CMDQ_BASE) ?? 0n;
    const size = 2 * 2 ** Number(base & 0x1fn);
    const error = (): boolean => ((this.reg(R.ARM_SMMU_GERROR) ^ this.reg(R.ARM_SMMU_GERRORN)) & R.GERROR_CMDQ_ERR) !== 0;
    let cons = this.reg(R.ARM_SMMU_CMDQ_CONS) % size;
    while (!error() && cons !== this.reg(R.ARM_SMMU_CMDQ_PROD)) {
      const at = Number(base & R.Q_BASE_ADDR_MASK) + 16 * (cons % (size / 2));
      const words = [this.#load(at), this.#load(at + 8)] as const;
      const opcode = Number(words[0] & 0xffn);
      if (opcode === this.illegalOpcode) {
        this.regs.set(R.ARM_SMMU_CMDQ_CONS, BigInt(cons | (R.CMDQ_ERR_CERROR_ILL_IDX << 24)));
        this.regs.set(R.ARM_SMMU_GERROR, BigInt(this.reg(R.ARM_SMMU_GERROR) ^ R.GERROR_CMDQ_ERR));
        this.#machine.controller.raise(GERROR_IRQ);
        return;
      }
      this.commands.push({ opcode, words });
      if (opcode !== R.CMDQ_OP_PREFETCH_CFG) this.journal.push(COMMAND_NAMES[opcode] ?? opcode.toString(16));
      if (opcode === R.CMDQ_OP_CMD_SYNC) this.#sync(words);
      cons = (cons + 1) % size;
      this.regs.set(R.ARM_SMMU_CMDQ_CONS, BigInt(cons));
    }
  }

  #sync(words: readonly [bigint, bigint]): void {
    if (Number((words[0] >> 12n) & 3n) !== R.CMDQ_SYNC_0_CS_IRQ) return;
    this.#machine.bus.storeWords(Number(words[1] & R.CMDQ_SYNC_1_MSIADDR_MASK), new Uint32Array(1), 1);
  }

  #load(address: number): bigint {
    const words = new Uint32Array(2);
    this.#machine.bus.loadWords(address, words, 2);
    return BigInt(words[0]!) | (BigInt(words[1]!) << 32n);
  }

  /** Puts records into the event queue as the SMMU would, and raises the interrupt. @param overflow the queue lost some */
  events(records: readonly (readonly bigint[])[], overflow = false): void {
    this.#produce(R.ARM_SMMU_EVTQ_BASE, R.ARM_SMMU_EVTQ_PROD, 4, records, overflow);
    this.#machine.controller.raise(EVTQ_IRQ);
  }

  /** The same for the PRI queue. */
  pageRequests(records: readonly (readonly bigint[])[], overflow = false): void {
    this.#produce(R.ARM_SMMU_PRIQ_BASE, R.ARM_SMMU_PRIQ_PROD, 2, records, overflow);
    this.#machine.controller.raise(PRIQ_IRQ);
  }

  #produce(baseRegister: number, prodRegister: number, dwords: number, records: readonly (readonly bigint[])[], overflow: boolean): void {
    const base = this.regs.get(baseRegister) ?? 0n;
    const size = 2 ** Number(base & 0x1fn);
    const register = R.ARM_SMMU_PAGE1_OFFSET + prodRegister;
    let prod = this.reg(register);
    for (const record of records) {
      const words = Uint32Array.from(record.flatMap((dword) => [Number(dword & 0xffff_ffffn), Number(dword >> 32n)]));
      this.#machine.bus.storeWords(Number(base & R.Q_BASE_ADDR_MASK) + 8 * dwords * (prod % size), words, 2 * dwords);
      prod = (prod + 1) % (2 * size);
    }
    this.regs.set(register, BigInt(overflow ? (prod | R.Q_OVERFLOW_FLAG) >>> 0 : prod));
  }

  /** Toggles bits of GERROR and raises the interrupt. */
  gerror(bits: number): void {
    this.regs.set(R.ARM_SMMU_GERROR, BigInt((this.reg(R.ARM_SMMU_GERROR) ^ bits) >>> 0));
    this.#machine.controller.raise(GERROR_IRQ);
  }

  /** The names of what was written, without values. */
  get order(): string[] {
    return this.writes.map((write) => write.split("=")[0]!);
  }

  get opcodes(): number[] {
    return this.commands.map((command) => command.opcode);
  }

  /** Forgets what was recorded so far. */
  forget(): void {
    this.writes.length = this.commands.length = this.idReads.length = this.journal.length = 0;
  }
}

/** For {@link Machine}: a fake SMMU, handed out by `take`. */
export function fakeSmmu(take: (smmu: FakeSmmu) => void, ids: Readonly<Record<number, number>> = {}): SmmuMaker {
  return (machine) => {
    const smmu = new FakeSmmu(machine, ids);
    take(smmu);
    return { size: 0x2_0000, device: smmu, widths: [4, 8] };
  };
}
