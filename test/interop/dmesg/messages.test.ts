// SPDX-License-Identifier: MIT
/** Linux's other messages: each form is recognised and says what it says. */
import { describe, expect, test } from "vitest";
import { dmesgText } from "../../../src/interop/index.ts";
import { analyse, faultLines, line, only } from "./log.ts";

const plain = (_style: string, text: string): string => text;

const forms: readonly (readonly [message: string, id: string, says: RegExp])[] = [
  ["SMMU currently enabled! Resetting...", "taken-over", /GBPA\.ABORT/],
  ["failed to clear cr0", "cr0-stuck", /CR0ACK did not follow/],
  ["GBPA not responding to update", "gbpa-stuck", /Update stayed 1/],
  ["CMD_SYNC timeout at 0x0000b1b7 [hwprod 0x0000b1c0, hwcons 0x0000b1b7]", "sync-timeout", /at index 0xb1b7, with 9 commands to go/],
  ["CMD_SYNC timeout", "sync-timeout", /does not print the queue's state/],
  ["CMDQ timeout", "cmdq-timeout", /no command was consumed/],
  ["unexpected global error reported (0x00000005), this could be serious", "gerror", /EVENTQ_ABT_ERR.*CMDQ_ERR/],
  ["device has entered Service Failure Mode!", "sfm", /terminates all transactions/],
  ["EVTQ MSI write aborted", "msi-abort", /an interrupt of EVTQ/],
  ["CMDQ MSI write aborted", "msi-abort", /CMD_SYNC's completion/],
  ["PRIQ write aborted -- events may have been lost", "queue-abort", /PRIQ could not be written/],
  ["CMDQ error (cons 0x0100b1b7): Illegal command", "cmd-error", /index 0xb1b7.*CERROR_ILL/],
  ["CMDQ error (cons 0x02000010): Abort on command fetch", "cmd-error", /CERROR_ABT/],
  ["CMDQ error (cons 0x03000010): ATC invalidate timeout", "cmd-error", /CERROR_ATC_INV_SYNC/],
  ["retrying command fetch", "cmd-retry", /same command/],
  ["EVTQ overflow detected -- events lost", "overflow", /EVTQ was full/],
  ["PRIQ overflow detected -- requests lost", "pri-overflow", /page requests of PCIe devices/],
  ["msi_domain absent - falling back to wired irqs", "wired-irqs", /names no MSI controller/],
  ["failed to allocate MSIs - falling back to wired irqs", "wired-irqs", /gave no vectors/],
  ["failed to set DMA mask for table walker", "dma-mask", /cannot reach/],
  ["MMIO region too small ([mem 0x09050000-0x0905ffff])", "mmio-small", /0x09050000-0x0905ffff.*two pages/],
  ["probe with driver arm-smmu-v3 failed with error -110", "probe-failed", /ETIMEDOUT/],
  [
    "\tsid 0x00000100.0x00002: [7L] unprivileged RW access at iova 0x0000000012345000",
    "pri",
    /StreamID 0x100 asked for unprivileged RW access/,
  ],
  ["unknown output address size. Truncating to 48-bit", "oas", /48 bits/],
  ["ias 44-bit, oas 44-bit (features 0x00088705)", "probe", /2_LVL_STRTAB.*TT_LE.*COHERENCY.*TRANS_S1.*TRANS_S2.*RANGE_INV.*NESTING/],
  ["oas 44-bit (features 0x01088705)", "probe", /^output 44 bits/],
  ["2-level strtab only covers 25/32 bits of SID", "strtab-covers", /0x2000000/],
  ["failed to allocate linear stream table (4194304 bytes)", "allocation", /linear stream table/],
  ["IDR0.COHACC overridden by FW configuration (false)", "coherency", /MSI polling is off/],
  ["no translation support!", "unsupported", /probe fails/],
  ["failed to enable SMMU interface", "reset-step", /did not follow/],
  ["no evtq irq - events will not be reported!", "no-irq", /proves nothing/],
];

describe("each form is recognised", () => {
  test.each(forms)("%s", (message, id, says) => {
    expect(only(analyse(line(message)), id).story.join("; ")).toMatch(says);
  });

  test("a client's line about its StreamID counts although it names no SMMU", () => {
    const report = analyse("[    2.0] nvme 0000:01:00.0: Aliasing StreamID 0x100 (from 0000:02:00.0) unsupported, expect DMA to be broken");
    expect(only(report, "aliasing").story[0]).toContain("StreamID 0x100 belongs to 0000:02:00.0");
    expect(only(analyse("[    2.0] pcieport 0000:00:01.0: stream 8 already in tree"), "in-tree").story[0]).toContain("0x8");
    expect(only(analyse("[    2.0] nvme 0000:01:00.0: Failed to enable ATS (STU 12)"), "ats-enable").story[0]).toContain("2^12");
    expect(only(analyse("[    2.0] nvme 0000:01:00.0: Failed to enable PASID"), "pasid-enable").from).toBe("arm_smmu_enable_pasid");
    expect(only(analyse("[    2.0] arm-smmu-v3: probe of 2b400000.smmu failed with error -16"), "probe-failed").story[0]).toContain(
      "EBUSY",
    );
  });
});

describe("CMD_SYNC timeouts: the queue's indexes tell why", () => {
  const timeout = (prod: string, cons: string): string => line(`CMD_SYNC timeout at 0x00000146 [hwprod ${prod}, hwcons ${cons}]`);
  const cause = (...lines: string[]): string => only(analyse(lines), "sync-timeout").causes[0]!.id;

  test("everything consumed: the completion was lost", () => {
    expect(cause(timeout("0x00000146", "0x00000146"))).toBe("completion");
  });

  test("CONS 0 and PROD not: the SMMU was reset behind the driver's back", () => {
    expect(cause(timeout("0x00000146", "0x00000000"))).toBe("reset");
  });

  test("CONS.ERR 3: a device that does not answer ATC invalidations", () => {
    expect(cause(timeout("0x00000146", "0x03000140"))).toBe("atc");
  });

  test("a command error earlier in the log", () => {
    expect(cause(line("CMDQ error (cons 0x01000140): Illegal command"), timeout("0x00000146", "0x00000140"))).toBe("earlier-error");
  });

  test("on the way down: the SMMU is already disabled", () => {
    expect(cause("[  201.0] reboot: Restarting system", timeout("0x00000146", "0x00000140"))).toBe("after-shutdown");
  });

  test("otherwise it is stuck", () => {
    expect(cause(timeout("0x00000146", "0x00000140"))).toBe("stuck");
  });

  test("the wrap flag counts: what is left is told by the queue's size", () => {
    const report = analyse(
      line("allocated 256 entries for cmdq"),
      line("CMD_SYNC timeout at 0x00000002 [hwprod 0x00000004, hwcons 0x000001fe]"),
    );
    expect(only(report, "sync-timeout").story.join()).toContain("with 6 commands to go");
  });
});

describe("registers that nobody answers for", () => {
  const found = (message: string, id: string) => only(analyse(line(message)), id);

  test("all ones in a CMD_SYNC timeout: the SMMU has no clock or power", () => {
    const { story, causes } = found("CMD_SYNC timeout at 0x00000146 [hwprod 0xffffffff, hwcons 0xffffffff]", "sync-timeout");
    expect(story.join()).toMatch(/all ones.*clock or power/);
    expect(causes.map(({ id }) => id)).toEqual(["no-power"]);
  });

  test("both indexes 0 after commands: the SMMU was reset, and nothing was completed", () => {
    const { causes } = found("CMD_SYNC timeout at 0x00000146 [hwprod 0x00000000, hwcons 0x00000000]", "sync-timeout");
    expect(causes[0]!.id).toBe("no-power");
    expect(causes.map(({ id }) => id)).not.toContain("completion");
  });

  test("all ones in GERROR and in CMDQ_CONS name no bits", () => {
    expect(found("unexpected global error reported (0xffffffff), this could be serious", "gerror").story).toEqual([
      expect.stringContaining("all ones") as string,
    ]);
    expect(found("CMDQ error (cons 0xffffffff): Unknown", "cmd-error").causes.map(({ id }) => id)).toEqual(["no-power"]);
  });
});

test("PRIQ overflow is of the PRI queue's thread and concerns page requests", () => {
  const { from, title } = only(analyse(line("PRIQ overflow detected -- requests lost")), "pri-overflow");
  expect([from, title]).toEqual(["arm_smmu_priq_thread", "PRI queue overflow: page requests are lost"]);
});

describe("which kernel it is decides what the message means", () => {
  const kernel = (version: string): string => `[    0.000000] Linux version ${version} (gcc)`;
  const takeover = (...before: string[]): string =>
    only(analyse(before, line("SMMU currently enabled! Resetting...")), "taken-over").story[1]!;

  test("from v5.2 on (3f54c447df34) GBPA.ABORT is set first; before, the SMMU was only disabled", () => {
    expect(takeover(kernel("5.2.0"))).toMatch(/sets GBPA.ABORT before it disables/);
    expect(takeover(kernel("6.12.4-arch1"))).toMatch(/sets GBPA.ABORT before it disables/);
    expect(takeover(kernel("4.19.100"))).toMatch(/without setting GBPA.ABORT.*passes untranslated/);
    expect(takeover(kernel("5.1.21"))).toMatch(/without setting GBPA.ABORT/);
    expect(takeover()).toMatch(/from v5.2 on.*an older one.*does not say the version/);
  });

  test("a kdump kernel from v5.2 on keeps the event queue off", () => {
    const crash = "[    0.0] Kernel command line: root=/dev/vda elfcorehdr=0x7f000000";
    expect(takeover(kernel("6.1.0"), crash)).toContain("keeps the event queue off");
    expect(takeover(kernel("4.14.0"), crash)).not.toContain("keeps the event queue off");
  });

  test.each([
    ["failed to clear cr0", "cr0-stuck"],
    ["GBPA not responding to update", "gbpa-stuck"],
    ["CMDQ timeout", "cmdq-timeout"],
  ])("%s: 100 us before v5.4, 1 s since", (message, id) => {
    const title = (...before: string[]): string => only(analyse(before, line(message)), id).title;
    expect(title(kernel("4.19.0"))).toMatch(/100 us$/);
    expect(title(kernel("5.4.0"))).toMatch(/1 s$/);
    expect(title()).toMatch(/1 s \(100 us before v5.4\)$/);
  });

  test("the function that prints CMDQ timeout was another before v5.4", () => {
    expect(only(analyse(kernel("4.19.0"), line("CMDQ timeout")), "cmdq-timeout").from).toBe("arm_smmu_cmdq_insert_cmd");
    expect(only(analyse(kernel("6.1.0"), line("CMDQ timeout")), "cmdq-timeout").from).toBe("arm_smmu_cmdq_issue_cmdlist");
  });
});

test("only an illegal command is printed by Linux: nothing else promises it", () => {
  const next = (message: string): string => only(analyse(line(message)), "cmd-error").next.join();
  expect(next("CMDQ error (cons 0x01000010): Illegal command")).toContain("in the lines that follow");
  expect(next("CMDQ error (cons 0x02000010): Abort on command fetch")).toContain("prints no command");
  expect(next("CMDQ error (cons 0x03000010): ATC invalidate timeout")).toContain("prints no command");
});

test("the command in error is decoded, and what it should have done is said to be undone", () => {
  const report = analyse(line("skipping command in error state:"), line("\t0x0000002000000003"), line("\t0x0000000000000001"));
  expect(only(report, "bad-command")).toMatchObject({
    title: "the command in error: CMD_CFGI_STE",
    words: ["0x0000002000000003", "0x0000000000000001"],
  });
  expect(only(report, "bad-command").story.join()).toContain("has not been done");
});

test("no line of the text is longer than 80 columns", () => {
  const report = analyse(
    forms.map(([message]) => line(message)),
    Array.from({ length: 0x26 }, (_, number) =>
      faultLines({ number, sid: 0xffff_ffff, address: (1n << 64n) - 1n, s2: true, ipa: 0xffff_ffff_f000n }),
    ).flat(),
  );
  for (const text of dmesgText(report, plain).split("\n")) expect(text.length).toBeLessThanOrEqual(80);
});
