// SPDX-License-Identifier: MIT
/** Which causes are named first, computed from the record and from what the log said before. */
import { describe, expect, test } from "vitest";
import { type Fault, analyse, faultLines, line, only, rawEvent } from "./log.ts";

const RAM = "[    0.000000]   node   0: [mem 0x0000000080000000-0x00000000bfffffff]";
const ENABLED = line("SMMU currently enabled! Resetting...", { time: "0.500000" });

/** Ids of the causes of one fault after some lines. */
function causes(fault: Fault, before: readonly string[] = [], client?: string, time?: string): string[] {
  const options = time === undefined ? {} : { time };
  const sentence =
    client === undefined
      ? []
      : [
          line(
            `event: F_TRANSLATION client: ${client} sid: 0x20 ssid: 0x0 iova: 0x${(fault.address ?? 0x1_2340n).toString(16)} ipa: 0x0`,
            options,
          ),
        ];
  const report = analyse(before, faultLines(fault, options), sentence);
  return report.findings.at(-1)!.causes.map(({ id }) => id);
}

describe("F_TRANSLATION: the address tells most", () => {
  const first: readonly (readonly [name: string, fault: Fault, id: string])[] = [
    ["0: a descriptor that was never written", { address: 0n }, "null-address"],
    ["in Linux's MSI window, written: a doorbell that is not mapped", { address: 0x0800_0040n }, "msi-doorbell"],
    ["all ones: DMA_MAPPING_ERROR", { address: (1n << 64n) - 1n }, "mapping-error"],
    ["upper half all ones: sign extension", { address: 0xffff_ffff_8000_1000n }, "sign-extension"],
    ["more bits than any input size", { address: 1n << 60n }, "beyond-input"],
    ["stage 2: nothing at that intermediate address", { s2: true, ipa: 0x9_0000n }, "guest-hole"],
    ["with a SubstreamID: memory of a process", { ssid: 3 }, "process-memory"],
    ["a page-aligned read alone is no proof of fetching ahead", { read: true, address: 0xffff_f000n }, "unmapped-early"],
    ["elsewhere among Linux's addresses: unmapped too early", { address: 0xfffe_1230n }, "unmapped-early"],
  ];
  test.each(first)("%s", (_name, fault, id) => {
    expect(causes(fault)[0]).toBe(id);
  });

  test("a read of the MSI window is no doorbell", () => {
    expect(causes({ address: 0x0800_0040n, read: true })).not.toContain("msi-doorbell");
  });

  test("an address in RAM as the kernel lists it is a physical one", () => {
    expect(causes({ address: 0x9000_0040n }, [RAM])[0]).toBe("physical-address");
  });

  test("without a list of RAM that is only a suspicion", () => {
    const ids = causes({ address: 0x9000_0040n });
    expect(ids).toContain("maybe-physical");
    expect(ids[0]).not.toBe("maybe-physical");
  });

  test("RAM where Linux hands out its first addresses says nothing", () => {
    expect(causes({ address: 0xffff_0040n }, ["[    0.000000]   node   0: [mem 0x0000000080000000-0x00000000ffffffff]"])).not.toContain(
      "physical-address",
    );
  });

  test("a page-aligned read may have been fetched ahead, and without a list of RAM it may rather be physical", () => {
    expect(causes({ read: true, address: 0x9000_0000n })).toEqual(["unmapped-early", "maybe-physical", "prefetch"]);
  });

  test("an input size from the probe line counts", () => {
    const probe = line("ias 36-bit, oas 36-bit (features 0x00000605)");
    expect(causes({ address: 1n << 40n }, [probe])[0]).toBe("beyond-input");
    expect(causes({ address: 1n << 40n })).not.toContain("beyond-input");
  });

  test("addresses that rise step by step run over the end of a mapping", () => {
    const report = analyse([0n, 64n, 128n, 192n].map((offset) => faultLines({ address: 0xfff0_0010n + offset })).flat());
    expect(only(report, "F_TRANSLATION").causes[0]!.id).toBe("over-the-end");
  });
});

describe("the circumstances tell more", () => {
  test("soon after the kernel found the SMMU enabled: devices of an earlier kernel", () => {
    expect(causes({ address: 0xfffe_1230n }, [ENABLED], undefined, "2.0")[0]).toBe("old-kernel");
  });

  test("a long time after that the earlier kernel is the last suspect", () => {
    expect(causes({ address: 0xfffe_1230n }, [ENABLED], undefined, "500.0")).toEqual(["unmapped-early", "old-kernel-long-ago"]);
  });

  test("a kdump kernel says so", () => {
    const report = analyse(
      "[    0.0] Kernel command line: root=/dev/vda elfcorehdr=0x7f000000",
      ENABLED,
      faultLines({ address: 0xfffe_1230n }),
    );
    expect(only(report, "F_TRANSLATION").causes[0]!.text).toContain("the crashed kernel's devices run on in this kdump kernel");
  });

  test("after kexec the kernel before is named", () => {
    const report = analyse(
      "[  100.0] kexec_core: Starting new kernel",
      "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x410fd034]",
      ENABLED,
      faultLines({ address: 0xfffe_1230n }),
    );
    expect(only(report, "F_TRANSLATION").causes[0]!.text).toContain("the kernel before the kexec");
  });

  test("on the way down: a client that was not stopped", () => {
    expect(causes({ address: 0xfffe_1230n }, ["[  201.0] reboot: Restarting system"])[0]).toBe("way-down");
  });

  test("a StreamID of no device: firmware's map, or firmware's DMA", () => {
    expect(causes({ address: 0xfffe_1230n }, [], "(unassigned sid)")[0]).toBe("no-driver");
  });

  test("another SMMU that was found enabled says nothing about this one", () => {
    expect(causes({ address: 0xfffe_1230n }, [line("SMMU currently enabled! Resetting...", { device: "other.smmu" })])).not.toContain(
      "old-kernel",
    );
  });
});

describe("F_PERMISSION: direction, stage and privilege", () => {
  const first: readonly (readonly [name: string, fault: Fault, id: string])[] = [
    ["a write at stage 1: mapped DMA_TO_DEVICE", { read: false }, "write-to-read-only"],
    ["an unprivileged read at stage 1: privileged only", { read: true }, "privileged-only"],
    ["an instruction fetch: not executable", { read: true, instruction: true }, "execute-never"],
    ["stage 2: the hypervisor's mapping", { read: false, s2: true }, "stage2-permission"],
  ];
  test.each(first)("%s", (_name, fault, id) => {
    expect(causes({ number: 0x13, ...fault })[0]).toBe(id);
  });
});

describe("configuration events", () => {
  const ids = (...lines: readonly (string | readonly string[])[]): string[] =>
    analyse(...lines)
      .findings.at(-1)!
      .causes.map(({ id }) => id);

  test("C_BAD_STREAMID: the firmware's map", () => {
    expect(ids(rawEvent([0x0000_0429_0000_0002n, 0n, 0n, 0n]))[0]).toBe("streamid-map");
  });

  test("C_BAD_STE without a two-level table in the probe line: a misaligned linear one", () => {
    expect(ids(line("ias 44-bit, oas 44-bit (features 0x00000704)"), rawEvent([0x2004n, 0n, 0n, 0n]))[0]).toBe("linear-table-misaligned");
    expect(ids(line("ias 44-bit, oas 44-bit (features 0x00000705)"), rawEvent([0x2004n, 0n, 0n, 0n]))[0]).toBe("table-overwritten");
  });

  test("F_STE_FETCH outside RAM: a pointer that is nonsense", () => {
    expect(ids(RAM, rawEvent([0x3n, 0n, 0n, 0x1_0000_0000n]))[0]).toBe("table-gone");
    expect(ids(RAM, rawEvent([0x3n, 0n, 0n, 0x9000_0000n]))[0]).toBe("table-protected");
  });

  test("GPCF: granule protection before all else", () => {
    expect(ids(RAM, rawEvent([0x9n, 1n << 16n, 0n, 0x9000_0000n]))[0]).toBe("granule-protection");
  });

  test("C_BAD_CD with a SubstreamID: an address space that was unbound", () => {
    expect(ids(rawEvent([0x0000_0020_0000_380an, 0n, 0n, 0n]))[0]).toBe("pasid-unbound");
    expect(ids(rawEvent([0x0000_0020_0000_000an, 0n, 0n, 0n]))[0]).toBe("cd-invalid");
  });

  test("every architected event has at least one cause", () => {
    for (const number of [
      0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x24, 0x25,
    ]) {
      expect(ids(rawEvent([BigInt(number), 0x0200_0000_0000n, 0x1000n, 0x9000_0000n])), `event ${number}`).not.toEqual([]);
    }
  });

  test("every cause has a reference", () => {
    for (const number of [0x02, 0x04, 0x0b, 0x10, 0x13]) {
      for (const { reference } of analyse(rawEvent([BigInt(number), 0n, 0n, 0n])).findings[0]!.causes) expect(reference).not.toBe("");
    }
  });
});
