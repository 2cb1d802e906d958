// SPDX-License-Identifier: MIT
/** What the host is told of the memory attributes of the SMMU's own accesses: a byte of MAIR and the shareability. */
import { describe, expect, test } from "vitest";
import {
  BusStatus,
  Smmu,
  type SmmuConfig,
  type SmmuHost,
  SystemBus,
  Transaction,
  createSmmuHost,
  profiles,
} from "../../../../src/hw/index.ts";
import { Simulation } from "../../../../src/sim/index.ts";
import { CMDQ, CMDQEN, DOORBELL, EVENTQ, EVENTQEN, GERROR_IRQEN, RAM, SMMUEN, at, command } from "./bench.ts";

const STREAM_TABLE = RAM + 0x40_0000;
const ALLOCATE = 1 << 30;

class Machine {
  readonly simulation = new Simulation();
  readonly bus = new SystemBus();
  /** Kind of access, type and shareability, in order. */
  readonly seen: (readonly [kind: string, type: number, shareability: number])[] = [];
  readonly smmu: Smmu;
  /** Accesses with this type abort. */
  unsupported = -1;

  constructor(config: SmmuConfig = profiles.max) {
    this.bus.addRam({ name: "ram", base: RAM, size: 0x100_0000 });
    const plain = createSmmuHost({ simulation: this.simulation, bus: this.bus });
    const told = (kind: string, attributes: number | undefined): boolean => {
      expect(attributes).toBeDefined();
      this.seen.push([kind, attributes! & 0xff, attributes! >> 8]);
      return (attributes! & 0xff) !== this.unsupported;
    };
    const host: SmmuHost = {
      ...plain,
      load: (kind, address, out, count, _level, attributes) =>
        told(kind, attributes) ? plain.load(kind, address, out, count) : BusStatus.abort,
      store: (kind, address, out, count, attributes) => (told(kind, attributes) ? plain.store(kind, address, out, count) : BusStatus.abort),
    };
    this.smmu = new Smmu(config, host);
  }

  write(offset: number, value: number): void {
    this.smmu.write(offset, 4, value);
    this.simulation.advance(1000);
  }

  /** One command, one STE fetch, one event record (the STE is invalid). */
  work(cr1: number, hints: number): void {
    this.write(at.CR1, cr1);
    this.smmu.write64(at.CMDQ_BASE, CMDQ + 3, hints);
    this.smmu.write64(at.EVENTQ_BASE, EVENTQ + 3, hints);
    this.smmu.write64(at.STRTAB_BASE, STREAM_TABLE, hints);
    this.write(at.STRTAB_BASE_CFG, 4);
    this.bus.memory.storeWords(CMDQ, Uint32Array.from(command.cfgiAll), 4);
    this.write(at.CR0, SMMUEN | CMDQEN | EVENTQEN);
    this.write(at.CMDQ_PROD, 1);
    this.smmu.translate(new Transaction());
  }
}

describe("CR1 and the hints of base registers", () => {
  /** SH, OC, IC in two bits each; what they mean for a read with RA, and for a write with WA. */
  const cases: readonly (readonly [string, fields: number, type: number, read: number, write: number, shareability: number])[] = [
    ["Non-shareable Write-Back", 0b00_01_01, 0xcc, 0xee, 0xdd, 0],
    ["Inner Shareable Write-Back", 0b11_01_01, 0xcc, 0xee, 0xdd, 3],
    ["Outer Shareable Write-Through", 0b10_10_10, 0x88, 0xaa, 0x99, 2],
    ["Shareability 0b01 is reserved: Non-shareable", 0b01_01_01, 0xcc, 0xee, 0xdd, 0],
    ["Outer Write-Back, inner Non-cacheable", 0b11_01_00, 0xc4, 0xe4, 0xd4, 3],
    ["Non-cacheable is Outer Shareable", 0b00_00_00, 0x44, 0x44, 0x44, 2],
    ["Cacheability 0b11 is reserved: Non-cacheable", 0b11_11_11, 0x44, 0x44, 0x44, 2],
  ];

  test.each(cases)("IHI 0070 §6.3.11: QUEUE_*: %s", (_what, fields, type, read, write, shareability) => {
    const plain = new Machine();
    plain.work(fields, 0);
    expect(plain.seen.filter(([kind]) => kind !== "ste")).toEqual([
      ["cmdq", type, shareability],
      ["eventq", type, shareability],
    ]);
    const hinted = new Machine();
    hinted.work(fields, ALLOCATE);
    expect(hinted.seen.filter(([kind]) => kind !== "ste")).toEqual([
      ["cmdq", read, shareability],
      ["eventq", write, shareability],
    ]);
  });

  test.each(cases)("IHI 0070 §6.3.11, §6.3.24: TABLE_*: %s", (_what, fields, type, read, _write, shareability) => {
    const plain = new Machine();
    plain.work(fields << 6, 0);
    expect(plain.seen.filter(([kind]) => kind === "ste")).toEqual([["ste", type, shareability]]);
    const hinted = new Machine();
    hinted.work(fields << 6, ALLOCATE);
    expect(hinted.seen.filter(([kind]) => kind === "ste")).toEqual([["ste", read, shareability]]);
  });

  test("IHI 0070 §6.3.24: a level-1 descriptor is read as the table is", () => {
    const machine = new Machine();
    machine.write(at.CR1, 0b11_01_01 << 6);
    machine.smmu.write64(at.STRTAB_BASE, STREAM_TABLE, 0);
    machine.write(at.STRTAB_BASE_CFG, (1 << 16) | (6 << 6) | 8);
    machine.write(at.CR0, SMMUEN);
    machine.smmu.translate(new Transaction());
    expect(machine.seen).toEqual([["l1std", 0xcc, 3]]);
  });

  test("IHI 0070 §13.1.2: a type that the memory system has not got is an external abort of its access", () => {
    const machine = new Machine();
    machine.unsupported = 0x44;
    machine.work(0b11_01_01, 0);
    // The Stream table is Non-cacheable: F_STE_FETCH, recorded through the cacheable queue.
    expect(machine.bus.memory.read32(EVENTQ) & 0xff).toBe(0x03);
    const queue = new Machine();
    queue.unsupported = 0x44;
    queue.work(0b11_01_01 << 6, 0);
    // CERROR_ABT and CMDQ_ERR, EVENTQ_ABT_ERR.
    expect((queue.smmu.read(at.CMDQ_CONS, 4) >>> 24) & 0x7f).toBe(2);
    expect(queue.smmu.read(at.GERROR, 4)).toBe(0b101);
  });
});

describe("interrupt messages", () => {
  /** MemAttr as STE.MemAttr has it, SH, and what leaves. */
  const cases: readonly (readonly [string, memAttr: number, sh: number, type: number, shareability: number])[] = [
    ["Device-nGnRnE is Outer Shareable", 0b0000, 0, 0x00, 2],
    ["Device-nGnRE", 0b0001, 3, 0x04, 2],
    ["Device-nGRE", 0b0010, 0, 0x08, 2],
    ["Device-GRE", 0b0011, 0, 0x0c, 2],
    ["Normal Non-cacheable is Outer Shareable", 0b0101, 3, 0x44, 2],
    ["Write-Through, Non-shareable", 0b1010, 0, 0xbb, 0],
    ["Write-Back, Inner Shareable", 0b1111, 3, 0xff, 3],
    ["Write-Back, SH 0b01 is reserved: Non-shareable", 0b1111, 1, 0xff, 0],
    ["outer Write-Back, inner Non-cacheable, Outer Shareable", 0b1101, 2, 0xf4, 2],
  ];

  test.each(cases)("IHI 0070 §6.3.23: GERROR_IRQ_CFG2: %s", (_what, memAttr, sh, type, shareability) => {
    const machine = new Machine();
    machine.smmu.write64(at.GERROR_IRQ_CFG0, DOORBELL, 0);
    machine.write(at.GERROR_IRQ_CFG2, (sh << 4) | memAttr);
    machine.write(at.IRQ_CTRL, GERROR_IRQEN);
    machine.smmu.failService();
    expect(machine.seen).toEqual([["msi", type, shareability]]);
  });

  test.each(cases)("IHI 0070 §4.7.3: MSH and MSIAttr of CMD_SYNC: %s", (_what, memAttr, sh, type, shareability) => {
    const machine = new Machine();
    machine.smmu.write64(at.CMDQ_BASE, CMDQ + 3, 0);
    const [first = 0, ...rest] = command.sync(1, 9, DOORBELL);
    machine.bus.memory.storeWords(CMDQ, Uint32Array.of(first | (sh << 22) | (memAttr << 24), ...rest), 4);
    machine.write(at.CR0, CMDQEN);
    machine.write(at.CMDQ_PROD, 1);
    expect(machine.seen.slice(1)).toEqual([["msi", type, shareability]]);
    expect(machine.bus.memory.read32(DOORBELL)).toBe(9);
  });
});
