// SPDX-License-Identifier: MIT
/** What Linux says of the queues, of commands in error, and of global errors. */
import { fieldNamed, getField, hex, smmuRegisters } from "../../hw/index.ts";
import { counted } from "../decode/decoded.ts";
import { isAtLeast } from "./history.ts";
import { type Groups, type MessageRow, cause, pollLimit } from "./message-row.ts";
import type { CauseFound, MessageFound } from "./types.ts";

const CERRORS: Readonly<Record<number, string>> = {
  0: "none",
  1: "CERROR_ILL, illegal command",
  2: "CERROR_ABT, the fetch was aborted",
  3: "CERROR_ATC_INV_SYNC, an ATC invalidation timed out",
};

/** CMDQ_CONS or PROD as printed: index with wrap bit, and the error code of CONS. */
function indexOf(text: string | undefined): { readonly index: number; readonly error: number } {
  const value = Number(text ?? "0");
  return { index: value & 0xf_ffff, error: (value >>> 24) & 0x7f };
}

const ALL_ONES = 0xffff_ffff;
const ONES_TEXT = "all ones: registers that nobody answers for read so, as those of an SMMU without clock or power";

/** Registers that read all ones, or all zeros where zeros cannot be: the SMMU itself is not there. */
function absent({ at, prod, cons }: Groups): "ones" | "zeros" | undefined {
  if (prod === undefined || cons === undefined) return undefined;
  if (Number(cons) === ALL_ONES || Number(prod) === ALL_ONES) return "ones";
  return Number(cons) === 0 && Number(prod) === 0 && Number(at) !== 0 ? "zeros" : undefined;
}

const POWER = cause(
  "no-power",
  "the SMMU has lost clock or power, or sits in reset: its power domain was switched off, or its clock, while clients still unmap",
  "arm_smmu_cmdq_issue_cmdlist",
);

/** How far the queue got, from a CMD_SYNC timeout. */
function queueStory(groups: Groups, { boot, device }: MessageFound): string[] {
  const { at, prod, cons } = groups;
  const gone = absent(groups);
  if (gone !== undefined)
    return [
      "the driver waited 1 s for a CMD_SYNC",
      gone === "ones"
        ? `CMDQ_PROD or CMDQ_CONS is ${ONES_TEXT}`
        : "CMDQ_PROD and CMDQ_CONS are both 0, although commands had been issued: the registers were reset",
    ];
  if (prod === undefined || cons === undefined)
    return ["the driver waited 1 s for a CMD_SYNC (this kernel does not print the queue's state)"];
  const hardware = indexOf(cons);
  const end = indexOf(prod).index;
  const entries = boot.cmdqEntries.get(device);
  const mask = entries === undefined ? 0xf_ffff : 2 * entries - 1;
  const open = (end - hardware.index) & mask;
  const story = [`the driver waited 1 s for the CMD_SYNC at index ${hex(indexOf(at).index)}`];
  if (open === 0) story.push("the SMMU has consumed every command: only the completion did not arrive, or came too late");
  else
    story.push(
      `the SMMU stands at index ${hex(hardware.index)}${entries === undefined && open > 0x7_ffff ? "" : `, with ${counted(open, "command")} to go`}`,
    );
  if (hardware.error !== 0)
    story.push(
      `CMDQ_CONS.ERR is ${hex(hardware.error)}: ${CERRORS[hardware.error] ?? "reserved"} (valid only while GERROR.CMDQ_ERR is active)`,
    );
  return story;
}

function syncCauses(groups: Groups, { goingDown, boot, device }: MessageFound): CauseFound[] {
  const { prod, cons } = groups;
  const gone = absent(groups) !== undefined;
  const causes: CauseFound[] = gone ? [POWER] : [];
  const error = gone ? 0 : indexOf(cons).error;
  const drained = !gone && prod !== undefined && indexOf(prod).index === indexOf(cons).index;
  if (error === 3)
    causes.push(
      cause(
        "atc",
        "a PCIe device did not answer an ATC invalidation: it is in reset, powered down, unplugged or hung",
        "IHI 0070 §3.9.1.4; arm_smmu_atc_inv_master",
      ),
    );
  if (error === 1 || error === 2)
    causes.push(
      cause(
        "cmd-error",
        "the queue stopped at a command error; nothing is consumed until GERROR is acknowledged, and the handler's interrupt did not come in time",
        "IHI 0070 §7.1; arm_smmu_cmdq_skip_err",
      ),
    );
  const before = boot.commandErrors.get(device);
  if (error === 0 && before !== undefined && !drained && !gone)
    causes.push(
      cause(
        "earlier-error",
        `a command error (line ${before}): nothing is consumed until its handler has acknowledged it in GERRORN`,
        "IHI 0070 §7.1; arm_smmu_gerror_handler",
      ),
    );
  if (goingDown !== undefined)
    causes.push(
      cause(
        "after-shutdown",
        "the SMMU was already disabled by its shutdown (CR0.CMDQEN is 0) when a client unmapped: commands pile up and none is consumed",
        "arm_smmu_device_shutdown, arm_smmu_device_disable",
      ),
    );
  if (!gone && prod !== undefined && indexOf(cons).index === 0 && indexOf(prod).index !== 0) {
    causes.push(
      cause(
        "reset",
        "CMDQ_CONS is 0: the SMMU was reset, disabled or lost power behind the driver's back (unbind, firmware, power domain)",
        "arm_smmu_device_disable",
      ),
    );
  }
  if (drained)
    causes.push(
      cause(
        "completion",
        "the completion was lost: CMD_SYNC's MSI write did not reach memory coherently, or no event woke the CPU (try arm-smmu-v3.disable_msipolling=1)",
        "arm_smmu_cmdq_poll_until_sync",
      ),
    );
  if (boot.takenOver.has(device))
    causes.push(cause("taken-over", "the SMMU was running when this kernel took it over", "arm_smmu_device_reset"));
  if (!drained && !gone)
    causes.push(
      cause(
        "stuck",
        "the SMMU waits for something before the CMD_SYNC: outstanding transactions of a device that never completes, an ATC invalidation, or memory that does not answer",
        "IHI 0070 §4.7.3",
      ),
    );
  return causes;
}

function gerrorBits({ gerror }: Groups): string[] {
  const register = smmuRegisters.find(({ name }) => name === "SMMU_GERROR")!;
  const value = Number(gerror);
  if (value === ALL_ONES) return [`GERROR is ${ONES_TEXT}`];
  const active = register.fields.filter((field) => getField([value], fieldNamed(register.fields, field.name)) === 1);
  return active.map(({ name, what }) => `${name}: ${what ?? ""}`);
}

const ABORT_CAUSES: readonly CauseFound[] = [
  cause(
    "queue-memory",
    "the queue's memory is not there for the SMMU: freed or given to another owner, beyond its output address size, or protected by the interconnect",
    "IHI 0070 §7.2.2",
  ),
];
const MSI_CAUSES: readonly CauseFound[] = [
  cause(
    "doorbell",
    "the doorbell address that the driver programmed does not answer writes: the interrupt controller's frame is off, elsewhere, or not reachable by the SMMU",
    "IHI 0070 §3.18; arm_smmu_write_msi_msg",
  ),
];

export const QUEUE_MESSAGES: readonly MessageRow[] = [
  {
    id: "sync-timeout",
    pattern: /CMD_SYNC timeout(?: at (?<at>0x[0-9a-f]+) \[hwprod (?<prod>0x[0-9a-f]+), hwcons (?<cons>0x[0-9a-f]+)\])?/,
    severity: "error",
    title: "a CMD_SYNC did not complete within 1 s",
    from: "arm_smmu_cmdq_issue_cmdlist",
    story: queueStory,
    causes: syncCauses,
    next: [
      "later timeouts: if hwcons moves, the SMMU is slow; if not, it is stuck",
      "invalidations before this CMD_SYNC may not have taken effect: unmapped memory may still be reachable",
    ],
  },
  {
    id: "cmdq-timeout",
    pattern: /CMDQ timeout/,
    severity: "error",
    title: (_groups, { boot }) => `the Command queue stayed full for ${pollLimit(boot)}`,
    from: (_groups, { boot }) => (isAtLeast(boot, 5, 4) === false ? "arm_smmu_cmdq_insert_cmd" : "arm_smmu_cmdq_issue_cmdlist"),
    story: () => ["no command was consumed while the driver waited for a free slot; it tries again for ever"],
    causes: syncCauses,
  },
  {
    id: "gerror",
    pattern: /unexpected global error reported \((?<gerror>0x[0-9a-f]+)\)/,
    severity: "error",
    title: "global error",
    from: "arm_smmu_gerror_handler",
    story: (groups) => gerrorBits(groups),
    next: ["the lines that follow name each active bit"],
  },
  {
    id: "sfm",
    pattern: /device has entered Service Failure Mode/,
    severity: "error",
    title: "Service Failure Mode",
    from: "arm_smmu_gerror_handler",
    story: () => [
      "the SMMU lost its inner consistency: it terminates all transactions and no longer touches its queues, until a system reset",
    ],
    causes: () => [cause("ras", "an uncorrectable error in the SMMU's own state or RAMs", "IHI 0070 §12.3")],
    next: ["RAS records of the SMMU", "everything that follows (timeouts, dead devices) is a consequence"],
  },
  {
    id: "msi-abort",
    pattern: /(?<queue>GERROR|PRIQ|EVTQ|CMDQ) MSI write aborted/,
    severity: "warning",
    title: "an interrupt message of the SMMU was aborted",
    from: "arm_smmu_gerror_handler",
    story: ({ queue }) => [
      `the write that signals ${queue === "CMDQ" ? "a CMD_SYNC's completion" : `an interrupt of ${queue}`} got an abort; that interrupt is lost`,
    ],
    causes: () => MSI_CAUSES,
  },
  {
    id: "queue-abort",
    pattern: /(?<queue>PRIQ|EVTQ) write aborted/,
    severity: "error",
    title: "a queue write of the SMMU was aborted",
    from: "arm_smmu_gerror_handler",
    story: ({ queue }) => [`a record for ${queue} could not be written to memory: records are lost until the error is acknowledged`],
    causes: () => [
      ...ABORT_CAUSES,
      cause("qemu-full", "QEMU raises this error for a full event queue, which is no error by the architecture", "IHI 0070 §7.4"),
    ],
  },
  {
    id: "cmd-error",
    pattern: /CMDQ error \(cons (?<cons>0x[0-9a-f]+)\): (?<reason>[\w ]+)/,
    severity: "error",
    title: "command error",
    from: "arm_smmu_cmdq_skip_err",
    story: ({ cons }) => {
      if (Number(cons) === ALL_ONES) return [`CMDQ_CONS is ${ONES_TEXT}`];
      const { index, error } = indexOf(cons);
      const place = `at index ${hex(index)} of the Command queue: ${CERRORS[error] ?? `reserved code ${hex(error)}`}`;
      return error === 3 ? [place, "the driver leaves the CMD_SYNC in the queue and lets the SMMU take it up again"] : [place];
    },
    causes: ({ cons }) => {
      const { error } = indexOf(cons);
      if (Number(cons) === ALL_ONES) return [POWER];
      if (error === 3)
        return [
          cause(
            "atc",
            "a PCIe device did not answer an ATC invalidation in time: in reset, powered down, unplugged or hung",
            "IHI 0070 §3.9.1.4",
          ),
        ];
      if (error === 2) return ABORT_CAUSES;
      return [
        cause(
          "overwritten",
          "the queue's memory was overwritten, or the SMMU read a slot before the driver's write was visible to it (coherency: IDR0.COHACC against dma-coherent)",
          "arm_smmu_cmdq_issue_cmdlist",
        ),
        cause("unsupported", "the command needs a feature that this SMMU has not got, or has a reserved operand", "IHI 0070 §4.1.3"),
      ];
    },
    // Only a command that is skipped is printed: for the other codes the driver returns before that.
    next: ({ cons }) => {
      const { error } = indexOf(cons);
      if (Number(cons) === ALL_ONES) return [];
      if (error === 2) return ["CMDQ_BASE and whether its memory is there: the driver prints no command for this error"];
      if (error === 3) return ["which device's ATC was invalidated: the driver prints no command for this error"];
      return error === 0 ? [] : ["the command itself, in the lines that follow"];
    },
  },
  {
    id: "cmd-retry",
    pattern: /retrying command fetch/,
    severity: "warning",
    title: "the driver lets the SMMU fetch the command again",
    from: "arm_smmu_cmdq_skip_err",
    story: () => ["after CERROR_ABT the queue goes on at the same command"],
  },
  {
    id: "overflow",
    pattern: /EVTQ overflow detected/,
    severity: "error",
    title: "Event queue overflow: records are lost",
    from: "arm_smmu_evtq_thread",
    story: () => ["EVTQ was full when the SMMU had more to write: faults came faster than the driver's thread took them out"],
    causes: (_groups, { boot, device }) => [
      ...(boot.takenOver.has(device)
        ? [
            cause(
              "storm-after-takeover",
              "devices that an earlier kernel left running fault at every access (a storm)",
              "arm_smmu_device_reset",
            ),
          ]
        : []),
      cause("storm", "a device repeats faulting accesses without end: scan-out, a ring that is polled, retries", "IHI 0070 §7.4"),
    ],
    next: ["the StreamID of the events before: quiesce that device first"],
  },
  {
    id: "pri-overflow",
    pattern: /PRIQ overflow detected/,
    severity: "error",
    title: "PRI queue overflow: page requests are lost",
    from: "arm_smmu_priq_thread",
    story: () => [
      "PRIQ was full when page requests of PCIe devices came in: the SMMU answers those that it drops by itself, as far as they can be answered, and the driver never sees them",
    ],
    causes: () => [
      cause("page-request-storm", "a device sends page requests faster than the driver's thread answers them", "IHI 0070 §8.1"),
    ],
    next: ["the StreamIDs of page requests before; the number of page requests that the device may have outstanding (its PRI capability)"],
  },
  {
    id: "pri",
    pattern:
      /sid (?<sid>0x[0-9a-f]+)\.(?<ssid>0x[0-9a-f]+): \[(?<group>\d+)(?<last>L?)\] (?<access>(?:un)?privileged \w*) access at iova (?<iova>0x[0-9a-f]+)/,
    severity: "warning",
    title: "a PCIe page request that nobody handles",
    from: "arm_smmu_handle_ppr",
    story: ({ sid, iova, access }) => [
      `StreamID ${hex(Number(sid))} asked for ${access} access to ${iova}; the driver answers with a denial`,
    ],
    causes: () => [cause("pri-on", "PRI is enabled in the endpoint although no domain handles page faults", "arm_smmu_priq_thread")],
  },
];
