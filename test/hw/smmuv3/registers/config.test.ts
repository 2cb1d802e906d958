// SPDX-License-Identifier: MIT
import { describe, expect, test } from "vitest";
import { HostMisuseError, NotModelledError, type SmmuConfig, idRegisters, profiles, validateConfig } from "../../../../src/hw/index.ts";
import { Bench } from "./bench.ts";

const { max, tiny } = profiles;
const QUEUES = { cmdq: { base: 0, log2Size: 0 }, eventq: { base: 0, log2Size: 0 }, priq: { base: 0, log2Size: 0 } };
const IDENTIFICATION = [0xfd0, 0xfd4, 0xfd8, 0xfdc, 0xfe0, 0xfe4, 0xfe8, 0xfec, 0xff0, 0xff4, 0xff8, 0xffc];

const noAts = { ats: false, splitStageAts: false, atsRecErr: false, pasidTt: false, pri: false } as const;

describe("profiles", () => {
  test.each(Object.values(profiles))("$name is a legal configuration", (config) => {
    expect(() => validateConfig(config)).not.toThrow();
  });

  test("qemu has the ID registers that QEMU reports for a nested SMMUv3", () => {
    const bench = new Bench(profiles.qemu);
    const read = [0x00, 0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c].map((offset) => bench.r32(offset));
    expect(read).toEqual([0x0d44_101b, 0x0273_0010, 0, 0x1414, 0, 0x74, 0, 1]);
    expect(IDENTIFICATION.map((offset) => bench.r32(offset))).toEqual([4, 0, 0, 0, 0x84, 0xb4, 0xf0, 0x10, 0x0d, 0xf0, 0x05, 0xb1]);
    expect(bench.r32(0x44)).toBe(0x1000);
  });

  test("fvp has IDR1 and IDR3 of Arm's model", () => {
    const id = idRegisters(profiles.fvp);
    expect(id["SMMU_IDR1"]).toBe(0x0e73_9d10);
    expect(id["SMMU_IDR3"]).toBe(0x14);
    expect(id["SMMU_AIDR"]).toBe(1);
  });

  test("Linux arm_smmu_device_hw_probe: what linux-typical must report for the driver to use it", () => {
    const id = idRegisters(profiles["linux-typical"]);
    const idr0 = id["SMMU_IDR0"]!;
    const idr1 = id["SMMU_IDR1"]!;
    const idr5 = id["SMMU_IDR5"]!;
    expect((idr0 >>> 27) & 3).toBe(1);
    expect(idr0 & 3).toBe(3);
    expect((idr0 >>> 2) & 2).toBe(2);
    expect((idr0 >>> 4) & 1).toBe(1);
    expect((idr0 >>> 13) & 1).toBe(1);
    expect([0, 2]).toContain((idr0 >>> 21) & 3);
    expect((idr1 >>> 28) & 7).toBe(0);
    expect((idr1 >>> 21) & 0x1f).toBeGreaterThanOrEqual(7);
    expect((idr1 >>> 6) & 0x1f).toBeGreaterThan(0);
    expect((idr5 >>> 4) & 7).toBe(7);
    expect(idr5 & 7).toBe(5);
  });

  test("tiny is stage 1, linear, 4KB only", () => {
    const id = idRegisters(tiny);
    expect(id["SMMU_IDR0"]! & 3).toBe(2);
    expect((id["SMMU_IDR0"]! >>> 27) & 3).toBe(0);
    expect((id["SMMU_IDR5"]! >>> 4) & 7).toBe(1);
  });
});

describe("ID registers", () => {
  /** Field positions of IHI 0070 §6.3.1 … §6.3.8. */
  const cases: readonly (readonly [string, Partial<SmmuConfig>, register: string, bits: number])[] = [
    ["S2P", { stage2: false }, "SMMU_IDR0", 1 << 0],
    ["S1P", { stage1: false }, "SMMU_IDR0", 1 << 1],
    ["COHACC", { coherent: false }, "SMMU_IDR0", 1 << 4],
    ["Hyp", { hyp: false }, "SMMU_IDR0", 1 << 9],
    ["ASID16", { asid16: false }, "SMMU_IDR0", 1 << 12],
    ["MSI", { msi: false }, "SMMU_IDR0", 1 << 13],
    ["SEV", { sev: false }, "SMMU_IDR0", 1 << 14],
    ["VMID16", { vmid16: false }, "SMMU_IDR0", 1 << 18],
    ["CD2L", { twoLevelCd: false }, "SMMU_IDR0", 1 << 19],
    ["TTENDIAN little", { ttEndian: "little" }, "SMMU_IDR0", 1 << 22],
    ["TTENDIAN big", { ttEndian: "big" }, "SMMU_IDR0", 3 << 21],
    ["TERM_MODEL", { termModel: true }, "SMMU_IDR0", 1 << 26],
    ["STALL_MODEL terminate", { stallModel: "terminate" }, "SMMU_IDR0", 1 << 24],
    ["STALL_MODEL force", { stallModel: "force" }, "SMMU_IDR0", 2 << 24],
    ["ST_LEVEL", { twoLevelStreamTable: false }, "SMMU_IDR0", 1 << 27],
    ["SIDSIZE", { sidSize: 0 }, "SMMU_IDR1", 32],
    ["SSIDSIZE", { ssidSize: 0 }, "SMMU_IDR1", 20 << 6],
    [
      "ATS, with what hangs on it",
      { ats: false, splitStageAts: false, atsRecErr: false, pri: false },
      "SMMU_IDR0",
      (1 << 10) | (1 << 23) | (1 << 16),
    ],
    ["PRI", { pri: false }, "SMMU_IDR0", 1 << 16],
    ["PPS", { pps: true }, "SMMU_IDR3", 1 << 5],
    ["PRIQS", { priqLog2Max: 0 }, "SMMU_IDR1", 19 << 11],
    ["NS1ATS", { splitStageAts: false }, "SMMU_IDR0", 1 << 11],
    ["ATSRECERR", { atsRecErr: false }, "SMMU_IDR0", 1 << 23],
    ["PASIDTT", { pasidTt: false }, "SMMU_IDR3", 1 << 16],
    ["EVENTQS", { eventqLog2Max: 0 }, "SMMU_IDR1", 19 << 16],
    ["CMDQS", { cmdqLog2Max: 0 }, "SMMU_IDR1", 19 << 21],
    ["DORMHINT", { dormhint: false }, "SMMU_IDR0", 1 << 8],
    ["VMW", { vmw: false }, "SMMU_IDR0", 1 << 17],
    ["HTTU", { httu: 0 }, "SMMU_IDR0", max.httu << 6],
    ["TABLES_PRESET", { presets: { tables: { base: 0, config: 0, attributes: 0 } } }, "SMMU_IDR1", 1 << 30],
    ["QUEUES_PRESET", { presets: { queues: { ...QUEUES, attributes: 0 } } }, "SMMU_IDR1", 1 << 29],
    ["REL", { presets: { queues: { ...QUEUES, attributes: 0 }, relativeTo: 0 } }, "SMMU_IDR1", 3 << 28],
    ["ATTR_PERMS_OVR", { attrPermsOvr: false }, "SMMU_IDR1", 1 << 26],
    ["ATTR_TYPES_OVR", { attrTypesOvr: false }, "SMMU_IDR1", 1 << 27],
    ["HAD", { had: false }, "SMMU_IDR3", 1 << 2],
    ["XNX", { xnx: false }, "SMMU_IDR3", 1 << 4],
    ["FWB", { fwb: false }, "SMMU_IDR3", 1 << 8],
    ["RIL", { ril: false }, "SMMU_IDR3", 1 << 10],
    ["BBML", { bbml: 0 }, "SMMU_IDR3", 2 << 11],
    ["E0PD", { e0pd: false }, "SMMU_IDR3", 1 << 13],
    ["PTWNNC", { ptwnnc: false }, "SMMU_IDR3", 1 << 14],
    ["BTM", { btm: !max.btm }, "SMMU_IDR0", 1 << 5],
    ["STT", { stt: !max.stt }, "SMMU_IDR3", 1 << 9],
    ["EPAN", { epan: !max.epan }, "SMMU_IDR3", 1 << 17],
    ["S1PI", { s1pi: !max.s1pi }, "SMMU_IDR3", 1 << 18],
    ["S2PI", { s2pi: !max.s2pi }, "SMMU_IDR3", 1 << 19],
    ["S2PO", { s2po: !max.s2po }, "SMMU_IDR3", 1 << 20],
    ["THE", { the: !max.the }, "SMMU_IDR3", 1 << 21],
    ["MTEPERM", { mteperm: !max.mteperm }, "SMMU_IDR3", 1 << 22],
    ["AIE", { aie: !max.aie }, "SMMU_IDR3", 1 << 23],
    ["DS", { ds: !max.ds }, "SMMU_IDR5", 1 << 7],
    ["GRAN4K", { gran4k: false }, "SMMU_IDR5", 1 << 4],
    ["GRAN16K", { gran16k: false }, "SMMU_IDR5", 1 << 5],
    ["GRAN64K", { gran64k: false }, "SMMU_IDR5", 1 << 6],
    ["STALL_MAX", { stallMax: 1 }, "SMMU_IDR5", 0xfffe << 16],
    ["VAX 0b00 from 0b10", { vax: 48 }, "SMMU_IDR5", 2 << 10],
    ["VAX 0b01 from 0b10", { vax: 52 }, "SMMU_IDR5", 3 << 10],
    ["D128", { d128: !max.d128 }, "SMMU_IDR5", 1 << 8],
    ["OAS", { oas: 32 }, "SMMU_IDR5", 6],
    ["ArchMinorRev", { version: 0 }, "SMMU_AIDR", max.version],
  ];

  test.each(cases)("IHI 0070 §6.3: %s is where the architecture has it, and changes nothing else", (_field, change, register, bits) => {
    const before = idRegisters(max);
    const after = idRegisters({ ...max, ...change });
    const changed = Object.keys(before).filter((name) => before[name] !== after[name]);
    expect(changed).toEqual([register]);
    expect((before[register]! ^ after[register]!) >>> 0).toBe(bits >>> 0);
  });

  test("IHI 0070 §6.3.6: OAS codes", () => {
    const codes = ([32, 36, 40, 42, 44, 48, 52, 56] as const).map((oas) => idRegisters({ ...max, oas })["SMMU_IDR5"]! & 7);
    expect(codes).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("IHI 0070 §6.3.1: what is not modelled is reported as absent", () => {
    const idr0 = idRegisters(max)["SMMU_IDR0"]!;
    // RME_IMPL, VATOS, ATOS.
    expect(idr0 & ((1 << 30) | (1 << 20) | (1 << 15))).toBe(0);
    expect((idr0 >>> 2) & 3).toBe(2);
  });
});

describe("validateConfig", () => {
  const illegal: readonly (readonly [string, Partial<SmmuConfig>, RegExp])[] = [
    [
      "no stage at all",
      { stage1: false, stage2: false, hyp: false, had: false, xnx: false, ptwnnc: false },
      /stage 1 or stage 2.*§6\.3\.1/,
    ],
    ["Hyp without stage 2", { stage2: false, xnx: false, ptwnnc: false }, /Hyp == 1 needs.*§6\.3\.1/],
    ["v3.2 with both stages and no Hyp", { hyp: false }, /Hyp == 1 is mandatory.*§6\.3\.1/],
    ["7 StreamID bits and a linear table only", { sidSize: 7, twoLevelStreamTable: false }, /SIDSIZE >= 7.*§6\.3\.2/],
    ["33 StreamID bits", { sidSize: 33 }, /SIDSIZE.*§6\.3\.2/],
    ["21 SubstreamID bits", { ssidSize: 21 }, /SSIDSIZE.*§6\.3\.2/],
    ["a Command queue of 2^20", { cmdqLog2Max: 20 }, /CMDQS.*§6\.3\.2/],
    ["v3.3 without RIL", { ril: false }, /RIL.*§6\.3\.4/],
    ["v3.3 with BBML 0", { bbml: 0 }, /BBML.*§6\.3\.4/],
    ["v3.3 without E0PD", { e0pd: false }, /E0PD.*§6\.3\.4/],
    ["v3.0 with RIL", { version: 0, vax: 48, oas: 48, ds: false, e0pd: false, ptwnnc: false, hyp: false, xnx: false }, /RIL.*§6\.3\.4/],
    ["v3.1 with E0PD", { version: 1 }, /E0PD.*§6\.3\.4/],
    ["no granule", { gran4k: false, gran16k: false, gran64k: false, vax: 48, oas: 48 }, /granule.*§6\.3\.6/],
    ["52-bit addresses without 64KB pages", { gran64k: false, oas: 48, ds: false }, /VAs of 52 bits.*§6\.3\.6/],
    ["OAS 52 without 64KB pages", { gran64k: false, vax: 48, ds: false, d128: false }, /OAS of 52.*§6\.3\.6/],
    ["XNX without stage 2", { stage2: false, splitStageAts: false, hyp: false, ptwnnc: false, fwb: false, vmw: false }, /XNX.*§6\.3\.4/],
    ["seven PIDR bytes", { pidr: [0, 0, 0, 0, 0, 0, 0] }, /PIDR.*§6\.3\.170/],
    ["HTTU 4", { httu: 4 as 3 }, /HTTU.*§6\.3\.1/],
    ["v3.2 with features of v3.4", { version: 2, ds: false }, /EPAN, S1PI, .* are v3\.4 features.*§2\.9/],
    ["v3.4 without EPAN", { epan: false }, /EPAN == 1 is mandatory.*§6\.3\.4/],
    ["v3.4 without MTEPERM", { mteperm: false }, /MTEPERM == 1 is mandatory.*§6\.3\.4/],
    ["S1PI without stage 1", { splitStageAts: false, stage1: false, hyp: false, had: false }, /S1PI.*§6\.3\.4/],
    ["AIE without stage 1", { splitStageAts: false, stage1: false, hyp: false, had: false, s1pi: false, the: false }, /AIE.*§6\.3\.4/],
    ["THE without S2PI", { s2pi: false, s2po: false }, /THE.*§6\.3\.4/],
    ["S2PO without S2PI", { s2pi: false }, /S2PO.*§6\.3\.4/],
    ["stalls without STALL_MAX", { stallMax: 0 }, /STALL_MAX.*§6\.3\.6/],
    ["forced stalls without STALL_MAX", { ...noAts, stallModel: "force", stallMax: 0 }, /STALL_MAX.*§6\.3\.6/],
    ["STALL_MAX of 17 bits", { stallMax: 0x1_0000 }, /STALL_MAX.*§6\.3\.6/],
    ["STALL_MAX where nothing stalls", { stallModel: "terminate" }, /STALL_MAX.*§6\.3\.6/],
    ["a negative time", { timing: { commandNs: -1, updateNs: 0 } }, /times/],
    ["half a cache entry", { caches: { ste: 0.5, cd: 1, tlb: 1, walk: 0, replacement: "round-robin" } }, /cache/],
  ];

  test.each(illegal)("refuses %s and names rule and section", (_what, change, message) => {
    const config = { ...max, ...change };
    expect(() => validateConfig(config)).toThrow(HostMisuseError);
    expect(() => validateConfig(config)).toThrow(message);
  });

  const notModelled: readonly (readonly [string, Partial<SmmuConfig>])[] = [
    ["VMSAv8-32", { ttf: "both", d128: false, vax: 52 }],
    ["physical addresses of 56 bits", { oas: 56 }],
    ["Secure state", { beyond: { secure: true } }],
    ["ECMDQs", { beyond: { ecmdq: true } }],
  ];

  test.each(notModelled)("refuses %s as not modelled", (_what, change) => {
    expect(() => validateConfig({ ...max, ...change })).toThrow(NotModelledError);
  });
});
