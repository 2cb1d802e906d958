// SPDX-License-Identifier: MIT
/**
 * The dependencies between identification fields (IHI 0070 §6.3.1 to §6.3.8, §2.3 to §2.9), one case for each way to break
 * one. All fields that rules look at are given here, so that no case hangs on what a profile has.
 */
import { describe, expect, test } from "vitest";
import { HostMisuseError, NotModelledError, type SmmuConfig, profiles, validateConfig } from "../../../../src/hw/index.ts";

type Version = SmmuConfig["version"];

/** What no version makes mandatory, left out; 48-bit addresses, all granules, both stages. */
const plain: SmmuConfig = {
  ...profiles.max,
  name: "plain",
  version: 0,
  stage1: true,
  stage2: true,
  ttf: "aarch64",
  sidSize: 16,
  ssidSize: 8,
  twoLevelStreamTable: true,
  oas: 48,
  vax: 48,
  gran4k: true,
  gran16k: true,
  gran64k: true,
  coherent: true,
  msi: true,
  hyp: false,
  ats: false,
  splitStageAts: false,
  atsRecErr: false,
  pasidTt: false,
  pri: false,
  httu: 0,
  vmw: false,
  dormhint: false,
  stallModel: "terminate",
  stallMax: 0,
  ril: false,
  bbml: 0,
  xnx: false,
  had: false,
  fwb: false,
  e0pd: false,
  ptwnnc: false,
  stt: false,
  epan: false,
  s1pi: false,
  s2pi: false,
  s2po: false,
  aie: false,
  mteperm: false,
  the: false,
  ds: false,
  d128: false,
};

/** The least that each minor version may have (IHI 0070 §2.3 to §2.8, §6.3.4). */
const least: Readonly<Record<Version, SmmuConfig>> = (() => {
  const v31 = { ...plain, version: 1, had: true, xnx: true } as const;
  const v32 = { ...v31, version: 2, hyp: true, ril: true, bbml: 1, fwb: true } as const;
  const v33 = { ...v32, version: 3, e0pd: true, ptwnnc: true } as const;
  return { 0: plain, 1: v31, 2: v32, 3: v33, 4: { ...v33, version: 4, epan: true, mteperm: true } };
})();

/** The rule that a configuration breaks; undefined: none. That the model has all of it is not asked. */
function broken(config: SmmuConfig): string | undefined {
  try {
    validateConfig(config);
    return undefined;
  } catch (error) {
    if (error instanceof NotModelledError) return undefined;
    expect(error).toBeInstanceOf(HostMisuseError);
    return (error as HostMisuseError).message;
  }
}

describe("minor versions", () => {
  test.each([0, 1, 2, 3, 4] as const)("IHI 0070 §2: v3.%i with its mandatory features alone is legal", (version) => {
    expect(broken(least[version])).toBeUndefined();
  });

  test.each([0, 1, 2, 3] as const)("v3.%i with its mandatory features alone is modelled", (version) => {
    expect(() => validateConfig(least[version])).not.toThrow();
  });

  test("IHI 0070 §6.3.8: AIDR has five minor versions", () => {
    expect(broken({ ...least[4], version: 5 as Version })).toMatch(/minor version.*§6\.3\.8/);
  });

  /** What each version makes mandatory: without it, the same part is legal one version earlier only. */
  const mandatory: readonly (readonly [Version, string, Partial<SmmuConfig>, RegExp])[] = [
    [1, "HAD", { had: false }, /HAD == 1 is mandatory.*§6\.3\.4/],
    [1, "XNX", { xnx: false }, /XNX == 1 is mandatory.*§6\.3\.4/],
    [2, "Hyp", { hyp: false }, /Hyp == 1 is mandatory.*§6\.3\.1/],
    [2, "RIL", { ril: false }, /RIL == 1 is mandatory.*§6\.3\.4/],
    [2, "BBML", { bbml: 0 }, /BBML is 1 or 2.*§6\.3\.4/],
    [2, "FWB", { fwb: false }, /FWB == 1 is mandatory.*§6\.3\.4/],
    [3, "E0PD", { e0pd: false }, /E0PD == 1 is mandatory.*§6\.3\.4/],
    [3, "PTWNNC", { ptwnnc: false }, /PTWNNC == 1 is mandatory.*§6\.3\.4/],
    [4, "EPAN", { epan: false }, /EPAN == 1 is mandatory.*§6\.3\.4/],
    [4, "MTEPERM", { mteperm: false }, /MTEPERM == 1 is mandatory.*§6\.3\.4/],
  ];

  test.each(mandatory)("IHI 0070 §6.3.4: from v3.%i on, %s is mandatory", (since, _name, change, message) => {
    for (const version of [0, 1, 2, 3, 4] as const) {
      const verdict = broken({ ...least[version], ...change });
      if (version < since) expect(verdict).toBeUndefined();
      else expect(verdict).toMatch(message);
    }
  });

  test("IHI 0070 §6.3.4: HAD is mandatory with stage 1 only, XNX, PTWNNC and MTEPERM with stage 2 only, Hyp with both", () => {
    const stage1 = { ...least[4], stage2: false, hyp: false, xnx: false, ptwnnc: false, mteperm: false };
    const stage2 = { ...least[4], stage1: false, hyp: false, had: false };
    expect(broken(stage1)).toBeUndefined();
    expect(broken(stage2)).toBeUndefined();
  });

  /** The first version that may have each feature: the one before it is a feature of, or, where its field is RES0 before, that one. */
  const features: readonly (readonly [Version, string, Partial<SmmuConfig>, RegExp])[] = [
    [1, "VAX", { vax: 52 }, /v3\.1.*§6\.3\.6/],
    [1, "OAS 52", { oas: 52 }, /v3\.1.*§6\.3\.6/],
    [1, "XNX", { xnx: true }, /v3\.1.*§6\.3\.4/],
    [1, "PBHA", { had: true, beyond: { pbha: true } }, /v3\.1.*§6\.3\.4/],
    [1, "RIL", { ril: true }, /v3\.2.*§2\.9/],
    [1, "BBML", { bbml: 2 }, /v3\.2.*§2\.9/],
    [1, "FWB", { fwb: true }, /v3\.2.*§2\.9/],
    [1, "STT", { stt: true }, /v3\.2.*§2\.9/],
    [1, "MPAM", { beyond: { mpam: true } }, /v3\.2.*§2\.9/],
    [2, "E0PD", { e0pd: true }, /v3\.3.*§2\.9/],
    [2, "PTWNNC", { ptwnnc: true }, /v3\.3.*§2\.9/],
    [2, "ECMDQ", { beyond: { ecmdq: true } }, /v3\.3.*§2\.9/],
    [2, "ATSRECERR", { ats: true, atsRecErr: true }, /v3\.3.*§2\.9/],
    [3, "PASIDTT", { ats: true, pasidTt: true }, /v3\.4.*§2\.9/],
    [3, "EPAN", { epan: true }, /v3\.4.*§2\.9/],
    [3, "S1PI", { s1pi: true }, /v3\.4.*§2\.9/],
    [3, "S2PI", { s2pi: true }, /v3\.4.*§2\.9/],
    [3, "S2PO", { s2pi: true, s2po: true }, /v3\.4.*§2\.9/],
    [3, "AIE", { aie: true }, /v3\.4.*§2\.9/],
    [3, "MTEPERM", { mteperm: true }, /v3\.4.*§2\.9/],
    [3, "THE", { the: true, s2pi: true }, /v3\.4.*§2\.9/],
    [3, "HTTU 0b11", { httu: 3 }, /v3\.4.*§2\.9/],
    [3, "DS", { ds: true, vax: 52 }, /v3\.1.*§6\.3\.6|v3\.4.*§2\.9/],
    [3, "D128", { s1pi: true, aie: true, s2pi: true, s2po: true, mteperm: true, d128: true }, /v3\.4.*§2\.9/],
    [0, "HTTU 0b10", { httu: 2 }, /never/],
    [0, "VMW", { vmw: true }, /never/],
    [0, "DORMHINT", { dormhint: true }, /never/],
  ];

  test.each(features)("IHI 0070 §2.9: the first version that may have it is v3.%i: %s", (since, _name, change, message) => {
    for (const version of [0, 1, 2, 3, 4] as const) {
      const verdict = broken({ ...least[version], ...change });
      if (version >= since) expect(verdict).toBeUndefined();
      else expect(verdict).toMatch(message);
    }
  });
});

describe("fields that need each other", () => {
  const noStage1 = { stage1: false, hyp: false, had: false } as const;
  const noStage2 = { stage2: false, hyp: false, xnx: false, ptwnnc: false, mteperm: false } as const;
  const tables = { base: 0x8000, config: 6, attributes: 0 };
  const queues = { cmdq: { base: 0x1000, log2Size: 8 }, eventq: { base: 0x4000, log2Size: 7 }, attributes: 0 };

  /** What breaks one rule, the rule, and the change that makes it legal again. */
  const cases: readonly (readonly [string, Partial<SmmuConfig>, RegExp, Partial<SmmuConfig>])[] = [
    ["no stage", { ...noStage1, ...noStage2 }, /stage 1 or stage 2.*§6\.3\.1/, { stage1: true, had: true }],
    ["Hyp without stage 1", { ...noStage1, hyp: true }, /Hyp == 1 needs.*§6\.3\.1/, { hyp: false }],
    ["Hyp without stage 2", { ...noStage2, hyp: true }, /Hyp == 1 needs.*§6\.3\.1/, { hyp: false }],
    ["VMSAv8-32 without 4KB", { ttf: "both", gran4k: false }, /GRAN4K.*§6\.3\.6/, { gran4k: true }],
    ["VMW without stage 2", { ...noStage2, vmw: true }, /VMW.*§6\.3\.1/, { vmw: false }],
    ["HTTU 4", { httu: 4 as 3 }, /HTTU.*§6\.3\.1/, { httu: 3 }],
    ["PRI without ATS", { pri: true }, /PRI == 1 needs ATS.*§6\.3\.1/, { ats: true }],
    ["split-stage ATS without ATS", { splitStageAts: true }, /split-stage ATS.*§6\.3\.1/, { ats: true }],
    [
      "split-stage ATS without stage 2",
      { ...noStage2, ats: true, splitStageAts: true },
      /split-stage ATS.*§6\.3\.1/,
      { splitStageAts: false },
    ],
    [
      "ATSRECERR without ATS",
      { version: 2, hyp: true, had: true, xnx: true, ril: true, bbml: 1, fwb: true, atsRecErr: true },
      /ATSRECERR == 1 needs.*§6\.3\.1/,
      { ats: true },
    ],
    ["PASIDTT without SubstreamIDs", { ats: true, pasidTt: true, ssidSize: 0 }, /PASIDTT == 1 needs.*§6\.3\.4/, { ssidSize: 8 }],
    ["forced stalls behind PCIe", { ats: true, stallModel: "force", stallMax: 1 }, /STALL_MODEL.*§6\.3\.1/, { stallModel: "both" }],
    ["SIDSIZE 33", { sidSize: 33 }, /SIDSIZE.*§6\.3\.2/, { sidSize: 32 }],
    ["SIDSIZE 7, linear", { sidSize: 7, twoLevelStreamTable: false }, /2-level.*§6\.3\.2/, { sidSize: 6 }],
    ["SSIDSIZE 21", { ssidSize: 21 }, /SSIDSIZE.*§6\.3\.2/, { ssidSize: 20 }],
    ["CMDQS 20", { cmdqLog2Max: 20 }, /CMDQS.*§6\.3\.2/, { cmdqLog2Max: 19 }],
    ["EVENTQS -1", { eventqLog2Max: -1 }, /EVENTQS.*§6\.3\.2/, { eventqLog2Max: 0 }],
    ["PRIQS 2.5", { priqLog2Max: 2.5 }, /PRIQS.*§6\.3\.2/, { priqLog2Max: 2 }],
    ["ECMDQ, incoherent", { coherent: false, beyond: { ecmdq: true } }, /ECMDQ.*§6\.3\.2/, { coherent: true }],
    ["ECMDQ without MSIs", { msi: false, beyond: { ecmdq: true } }, /ECMDQ.*§6\.3\.2/, { msi: true }],
    ["ECMDQ, preset queues", { presets: { queues }, beyond: { ecmdq: true } }, /ECMDQ.*§6\.3\.2/, { presets: { tables } }],
    ["HAD without stage 1", { ...noStage1, had: true }, /HAD == 1 needs.*§6\.3\.4/, { had: false }],
    ["PBHA without HAD", { ...noStage1, beyond: { pbha: true } }, /PBHA.*§6\.3\.4/, { beyond: {} }],
    ["S1PI without stage 1", { ...noStage1, s1pi: true }, /S1PI.*§6\.3\.4/, { s1pi: false }],
    ["AIE without stage 1", { ...noStage1, aie: true }, /AIE.*§6\.3\.4/, { aie: false }],
    ["THE without stage 1", { ...noStage1, the: true, s2pi: true }, /THE == 1 needs S1P.*§6\.3\.4/, { the: false }],
    ["XNX without stage 2", { ...noStage2, xnx: true }, /XNX == 1 needs.*§6\.3\.4/, { xnx: false }],
    ["PTWNNC without stage 2", { ...noStage2, ptwnnc: true }, /PTWNNC == 1 needs.*§6\.3\.4/, { ptwnnc: false }],
    ["MTEPERM without stage 2", { ...noStage2, mteperm: true }, /MTEPERM == 1 needs.*§6\.3\.4/, { mteperm: false }],
    ["S2PI without stage 2", { ...noStage2, s2pi: true }, /S2PI == 1 needs.*§6\.3\.4/, { s2pi: false }],
    ["S2PO without S2PI", { s2po: true }, /S2PO.*§6\.3\.4/, { s2pi: true }],
    ["THE and stage 2 without S2PI", { the: true }, /THE == 1 with S2P.*§6\.3\.4/, { s2pi: true }],
    ["BBML 3", { bbml: 3 as 2 }, /BBML is 0 to 2.*§6\.3\.4/, { bbml: 2 }],
    ["DPT without ATS", { beyond: { dpt: true } }, /DPT == 1 needs.*§6\.3\.4/, { ats: true }],
    ["DPT and VMSAv8-32", { ats: true, ttf: "both", beyond: { dpt: true } }, /exclude.*§6\.3\.1/, { ttf: "aarch64" }],
    ["D128 alone", { d128: true }, /D128.*§6\.3\.6/, { s1pi: true, aie: true, s2pi: true, s2po: true, mteperm: true }],
    ["D128 and VMSAv8-32", { ttf: "aarch32", d128: true }, /exclude.*§6\.3\.1/, { ttf: "aarch64", d128: false }],
    ["no granule", { gran4k: false, gran16k: false, gran64k: false }, /granule.*§6\.3\.6/, { gran16k: true }],
    ["DS with 64KB only", { ds: true, vax: 52, gran4k: false, gran16k: false }, /DS == 1 needs GRAN.*§6\.3\.6/, { gran16k: true }],
    ["DS with 48-bit VAs", { ds: true }, /DS == 1 needs VAs.*§6\.3\.6/, { vax: 52 }],
    ["VAX 60", { vax: 60 as 52 }, /VAX is.*§6\.3\.6/, { vax: 52 }],
    ["VAX 56 without D128", { vax: 56 }, /56-bit VAs.*D128.*§6\.3\.6/, { vax: 52 }],
    ["OAS 56 without D128", { oas: 56 }, /OAS of 56.*D128.*§6\.3\.6/, { oas: 52 }],
    ["OAS 60", { oas: 60 as 52 }, /OAS is one.*§6\.3\.6/, { oas: 52 }],
    ["52-bit VAs, small granules", { vax: 52, gran64k: false }, /VAs of 52 bits or more.*§6\.3\.6/, { ds: true }],
    ["OAS 52, small granules", { oas: 52, gran64k: false }, /OAS of 52.*§6\.3\.6/, { ds: true, vax: 52 }],
    ["seven PIDR bytes", { pidr: [0, 0, 0, 0, 0, 0, 0] }, /eight bytes.*§6\.3\.170/, { pidr: [0, 0, 0, 0, 0, 0, 0, 0] }],
    ["IIDR with bit 7", { iidr: 0x80 }, /bit 7.*§6\.3\.7/, { iidr: 0x43b }],
    [
      "IIDR of one designer, PIDR of another",
      { iidr: 0x43b, pidr: [4, 0, 0, 0, 0, 0xa0, 0x0b, 0] },
      /Implementer.*§6\.3\.7/,
      { pidr: [4, 0, 0, 0, 0, 0xb0, 0x0b, 0] },
    ],
    ["REL without presets", { presets: { relativeTo: 0 } }, /REL.*§6\.3\.2/, { presets: { tables, relativeTo: 0 } }],
    ["a page 0 at 4KB", { presets: { tables, relativeTo: 0x1000 } }, /64KB.*§6\.1/, { presets: { tables } }],
    [
      "a preset Stream table, misaligned",
      { presets: { tables: { ...tables, base: 0x800 } } },
      /Stream table is aligned.*§6\.3\.24/,
      { presets: { tables: { ...tables, base: 0x1000 } } },
    ],
    [
      "a preset Stream table beyond OAS",
      { presets: { tables: { ...tables, base: 2 ** 48 } } },
      /Stream table.*§6\.3\.24/,
      { presets: { tables: { ...tables, base: 2 ** 48 - 4096 } } },
    ],
    [
      "a preset STRTAB_BASE_CFG with reserved bits",
      { presets: { tables: { ...tables, config: 0x800 } } },
      /STRTAB_BASE_CFG.*§6\.3\.25/,
      { presets: { tables } },
    ],
    ["a preset queue beyond CMDQS", { cmdqLog2Max: 7, presets: { queues } }, /preset queue.*§6\.3\.26/, { cmdqLog2Max: 8 }],
    [
      "a preset queue, misaligned",
      { presets: { queues: { ...queues, eventq: { base: 0x800, log2Size: 7 } } } },
      /preset queue.*§6\.3\.29/,
      { presets: { queues } },
    ],
    [
      "preset queues without the PRI queue",
      { ats: true, pri: true, presets: { queues } },
      /PRI queue.*§6\.3\.2/,
      { presets: { queues: { ...queues, priq: { base: 0x6000, log2Size: 8 } } } },
    ],
  ];

  test.each(cases)("refuses %s, and nothing else about it", (_what, change, message, repair) => {
    // v3.3 may have features of v3.4 and must have none.
    expect(broken({ ...least[3], ...change })).toMatch(message);
    expect(broken({ ...least[3], ...change, ...repair })).toBeUndefined();
  });
});
