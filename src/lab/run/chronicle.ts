// SPDX-License-Identifier: MIT
/** Keeps what a reader wants to see of a run in order: steps of the way down, shutdown hooks, probes, ends of kernels, logs. */
import type { LabEvents, LabTrace, MachineStep } from "../events.ts";
import type { Milestone, RunResult, ShutdownStep } from "./result.ts";

const MACHINE_WORDS: Record<Exclude<MachineStep, "next-kernel-up">, string> = {
  "cold-boot": "firmware starts a kernel",
  "way-down": "the way down begins",
  "hardware-reset": "hardware reset: all DMA stops",
  "power-cut": "power is cut",
  halt: "the CPU halts, power stays on",
  "panic-loop": "the CPU goes round in the loop that ends a panic, power stays on",
  "kexec-entry": "the next kernel is entered",
  "crash-entry": "the crash kernel is entered",
  "jump-entry": "a kernel is entered that can jump back",
  "jump-back": "the kernel that had jumped away goes on",
};

const JUMP_WORDS: Record<LabEvents["kernel.jump"]["to"], string> = {
  kexec: "jump to the next kernel",
  crash: "jump to the crash kernel",
  jump: "jump to the next kernel, to come back",
  return: "jump back",
};

/** How aer_print_source begins. */
const ERROR_REPORT = /: AER: (?:Multiple )?(?:Unc|C)orrectable .*error message received/;

/** Lines of log kept. */
const LOG_LINES = 400;

interface OpenStep {
  readonly seq: number;
  readonly kernel: string;
  readonly device: string;
  readonly hook: string;
  readonly driver: string | null;
  readonly begin: number;
  end: number | undefined;
}

export class Chronicle {
  readonly milestones: Milestone[] = [];
  readonly #steps: OpenStep[] = [];
  readonly #log: { time: number; kernel: string; text: string }[] = [];
  readonly #probed: ReadonlySet<string>;
  #oops: RunResult["oops"] = null;
  #recording = false;

  /** @param probed devices whose probe is worth a milestone */
  constructor(probed: ReadonlySet<string>) {
    this.#probed = probed;
  }

  attach(trace: LabTrace): void {
    trace.on("lab.machine", ({ seq, time, data }) => {
      if (data.step === "way-down") this.#recording = true;
      if (this.#recording)
        this.#note(
          seq,
          time,
          data.kernel,
          data.step === "next-kernel-up" ? `the ${data.kernel} kernel is up` : MACHINE_WORDS[data.step],
          "machine",
        );
    });
    trace.on("lab.waits", ({ seq, time, data }) => {
      if (this.#recording) this.#note(seq, time, data.kernel, data.text, "machine");
    });
    trace.on("kernel.path", ({ seq, time, data }) => this.#note(seq, time, data.kernel, data.step, "path"));
    trace.on("kernel.jump", ({ seq, time, data }) => this.#note(seq, time, data.from, JUMP_WORDS[data.to], "machine"));
    trace.on("kernel.probe", ({ seq, time, data }) => {
      if (this.#recording && data.result !== "deferred" && this.#probed.has(data.device)) {
        this.#note(seq, time, data.kernel, `${data.driver} ${data.result === "bound" ? "bound to" : "failed on"} ${data.device}`, "driver");
      }
    });
    trace.on("kernel.oops", ({ seq, time, data }) => {
      const hook = this.#steps.findLast((step) => step.kernel === data.kernel && step.end === undefined);
      this.#oops ??= { ...data, time, device: data.device ?? hook?.device ?? null };
      this.#note(seq, time, data.kernel, `oops: ${data.message}`, "oops");
    });
    trace.on("kernel.warn", ({ seq, time, data }) => {
      if (this.#recording) this.#note(seq, time, data.kernel, `warning: ${data.message}`, "oops");
    });
    trace.on("kernel.shutdown", ({ seq, time, data }) => {
      if (data.phase === "begin") {
        this.#steps.push({
          seq,
          kernel: data.kernel,
          device: data.device,
          hook: data.hook,
          driver: data.driver,
          begin: time,
          end: undefined,
        });
        return;
      }
      const open = this.#steps.findLast((step) => step.device === data.device && step.kernel === data.kernel && step.hook === data.hook);
      if (open) open.end = time;
    });
    const reported = new Set<string>();
    trace.on("kernel.log", ({ seq, time, data }) => {
      if (this.#recording && !reported.has(data.kernel) && ERROR_REPORT.test(data.text)) {
        reported.add(data.kernel);
        this.#note(seq, time, data.kernel, `first of the PCIe errors that it is told of: ${data.text}`, "driver");
      }
      if (this.#recording && this.#log.length < LOG_LINES) this.#log.push({ time, kernel: data.kernel, text: data.text });
    });
  }

  #note(seq: number, time: number, kernel: string, text: string, what: Milestone["what"]): void {
    this.milestones.push({ seq, time, kernel, text, what });
  }

  get shutdownOrder(): readonly ShutdownStep[] {
    return this.#steps;
  }

  get oops(): RunResult["oops"] {
    return this.#oops;
  }

  get log(): RunResult["log"] {
    return this.#log;
  }
}
