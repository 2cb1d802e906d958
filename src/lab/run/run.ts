// SPDX-License-Identifier: MIT
/**
 * One run: a machine, its first kernel at work, the way down, and the kernel that comes next, all of it watched.
 *
 * A run is a pure function of the scenario and the seed.
 */
import type { DriverModule, Kernel } from "../../kernel/index.ts";
import { type Coroutine, type RunOutcome, Trace } from "../../sim/index.ts";
import type { LabEvents, LabTrace, MachineStep } from "../events.ts";
import type { CustomClients } from "../machine/clients.ts";
import { Machine } from "../machine/machine.ts";
import { QuietAfterShutdown } from "../monitors/quiet.ts";
import { TranslatedAfterSmmu } from "../monitors/untranslated.ts";
import { NoForeignWrite } from "../monitors/foreign-write.ts";
import { type ImageDamage, NextKernelIntact } from "../monitors/next-kernel.ts";
import { NoMissedMaintenance } from "../monitors/maintenance.ts";
import { NoStaleWalk } from "../monitors/stale-walk.ts";
import { SuppliersLast } from "../monitors/suppliers-last.ts";
import type { Monitor } from "../monitors/monitor.ts";
import type { Scenario } from "../scenario/types.ts";
import { type Chance, chanceOf } from "./chance.ts";
import { Chronicle } from "./chronicle.ts";
import { WayDownCounters } from "./counters.ts";
import { FIRST, Kernels, SECOND } from "./kernels.ts";
import { KernelChecks } from "./kernel-checks.ts";
import type { RunResult } from "./result.ts";
import { type MachineState, stateOf } from "./state.ts";
import { TimelineRecorder } from "./timeline.ts";
import type { SecondKernel, WayDown } from "./types.ts";
import { verdictOf } from "./verdict.ts";

export interface RunOptions {
  /** Any integer of magnitude below 2^53. */
  readonly seed: number;
  /** The command line that repeats this run, for the report. */
  readonly replay: string;
  /** Called with the machine's state once: at `saveAtMs` of virtual time after the way down began, or at the end. */
  readonly save?: (state: MachineState) => void;
  /** At least 0; undefined: when the run is over. */
  readonly saveAtMs?: number;
  /** Further code of the first kernel: a driver under trial, for a device whose own driver is absent. */
  readonly drivers?: readonly DriverModule[];
  /** Devices that the lab does not know, each with its driver, by the name of the scenario's device whose place they take. */
  readonly clients?: CustomClients;
}

const MS = 1_000_000;
/** Virtual time in which the first kernel must be up. */
const BOOT_LIMIT_NS = 2000 * MS;
/** Virtual time in which every active client must have begun to work: a link comes up, a frame starts. */
const START_LIMIT_NS = 500 * MS;
/** Virtual time in which the way down must end, and then the second kernel must be up. Longer than any timeout of a driver. */
const DOWN_LIMIT_NS = 3000 * MS;
/** Steps of tasks in one phase: far more than any phase takes. */
const STEP_LIMIT = 2_000_000;
/** How much of the time before the way down the timeline shows. */
const LEAD_NS = 2 * MS;
/** How much of the time after its beginning the timeline shows, at most. */
const SHOWN_NS = 150 * MS;

const STARTS_ANOTHER: Record<WayDown, boolean> = { reboot: true, kexec: true, kdump: true, "power-off": false, emergency: true };

/** The monitors of the seven claims, over one machine. */
class Monitors {
  readonly quiet: QuietAfterShutdown = new QuietAfterShutdown();
  readonly untranslated: TranslatedAfterSmmu;
  readonly foreign: NoForeignWrite = new NoForeignWrite();
  readonly walks: NoStaleWalk = new NoStaleWalk();
  readonly suppliers: SuppliersLast;
  readonly next: NextKernelIntact;
  readonly maintenance: NoMissedMaintenance = new NoMissedMaintenance();
  /** In the order of the claims. */
  readonly all: readonly Monitor[];

  constructor(machine: Machine, damage: () => ImageDamage) {
    this.untranslated = new TranslatedAfterSmmu(machine.names.smmu);
    this.suppliers = new SuppliersLast(machine.names.suppliers);
    this.next = new NextKernelIntact(SECOND, damage);
    this.all = [this.quiet, this.untranslated, this.foreign, this.walks, this.suppliers, this.next, this.maintenance];
  }
}

function* emergency(kernel: Kernel): Coroutine<void> {
  kernel.reboot.emergency_restart();
}

class Run {
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #trace: LabTrace = new Trace<LabEvents>();
  readonly #machine: Machine;
  readonly #chance: Chance;
  readonly #kernels: Kernels;
  readonly #monitors: Monitors;
  readonly #chronicle: Chronicle;
  readonly #counters = new WayDownCounters();
  readonly #recorder = new TimelineRecorder();
  readonly #checks = new KernelChecks();
  /** What the lint said of the SMMU's driver, by rule. */
  readonly #lint = new Map<string, number>();
  #wayDownAt = 0;
  #inconclusive = false;

  constructor(scenario: Scenario, options: RunOptions) {
    this.#scenario = scenario;
    this.#options = options;
    this.#machine = new Machine(scenario.machine, {
      seed: options.seed,
      trace: this.#trace,
      workload: scenario.workload,
      ...(options.clients ? { clients: options.clients } : {}),
    });
    this.#chance = chanceOf(options.seed, scenario);
    this.#kernels = new Kernels(scenario, this.#machine, this.#trace, this.#chance, options.drivers ?? []);
    this.#monitors = new Monitors(this.#machine, () => this.#kernels.damageOfSecond());
    this.#chronicle = new Chronicle(new Set([...this.#machine.names.clients.values(), this.#machine.names.smmu]));
    for (const monitor of this.#monitors.all) monitor.attach(this.#trace);
    this.#chronicle.attach(this.#trace);
    this.#counters.attach(this.#trace, FIRST);
    this.#recorder.attach(this.#trace);
    this.#checks.attach(this.#trace);
    this.#trace.on("smmu.lint", ({ data }) => this.#lint.set(data.rule, (this.#lint.get(data.rule) ?? 0) + 1));
  }

  #step(step: MachineStep, kernel: string): void {
    this.#trace.emit("lab.machine", { step, kernel });
  }

  /** Runs on until something holds, or for at most so long. */
  #until(limitNs: number, until: () => boolean): RunOutcome {
    const { simulation } = this.#machine;
    const outcome = simulation.run({ until, limitNs: simulation.now + limitNs, limitSteps: simulation.steps + STEP_LIMIT });
    if (outcome.kind === "limit" && outcome.limit === "steps") this.#inconclusive = true;
    if (outcome.kind === "deadlock") for (const kernel of [this.#kernels.first, this.#kernels.second]) kernel?.debug.hung.standstill();
    return outcome;
  }

  #for(ms: number): void {
    if (ms > 0) this.#until(ms * MS, () => false);
  }

  /** Boots the first kernel and lets it work; false if it does not come up. */
  #work(): boolean {
    const first = this.#kernels.bootFirst();
    this.#step("cold-boot", FIRST);
    this.#until(BOOT_LIMIT_NS, () => first.state !== "booting");
    if (first.state !== "running") {
      this.#inconclusive ||= first.state === "booting";
      return false;
    }
    this.#kernels.loadNext();
    for (const client of this.#machine.clients) client.start();
    const idle = this.#idleClients();
    this.#until(START_LIMIT_NS, () => idle.size === 0);
    this.#for(this.#scenario.workload.beforeMs + this.#chance.phaseUs / 1000);
    return true;
  }

  /** Active clients that have not reached memory yet; the set empties as they do. */
  #idleClients(): ReadonlySet<string> {
    const { names, spec } = this.#machine;
    const idle = new Set(
      spec.devices.filter(({ active, driver }) => active && driver !== "absent").map(({ name }) => names.clients.get(name)!),
    );
    this.#trace.on("lab.landing", ({ data }) => idle.delete(data.device));
    return idle;
  }

  #wayDown(first: Kernel): Coroutine<unknown> {
    switch (this.#scenario.wayDown) {
      case "reboot":
        return first.reboot.kernel_restart("quiesce");
      case "kexec":
        return first.kexec.kernel_kexec();
      case "kdump":
        return first.kexec.panic("sysrq triggered crash");
      case "power-off":
        return first.reboot.kernel_power_off();
      case "emergency":
        return emergency(first);
    }
  }

  run(): RunResult {
    const { simulation } = this.#machine;
    const wayDown = this.#scenario.wayDown;
    let second: SecondKernel = "none";
    if (this.#work()) {
      this.#wayDownAt = simulation.now;
      this.#step("way-down", FIRST);
      this.#saveLater();
      const first = this.#kernels.first!;
      const task = first.spawn(`${wayDown}:1`, this.#wayDown(first));
      // Nobody goes on with a way down whose task has died.
      this.#until(DOWN_LIMIT_NS, () => this.#kernels.ended || task.state === "done" || task.state === "killed");
      if (!this.#kernels.ended) second = this.#firstFailure();
      else if (STARTS_ANOTHER[wayDown]) second = this.#secondKernel();
      this.#for(this.#scenario.workload.afterMs);
    } else {
      second = this.#firstFailure();
    }
    this.#machine.smmu.audit();
    for (const monitor of this.#monitors.all) monitor.finish(simulation.now);
    if (this.#options.saveAtMs === undefined) this.#save("the end of the run");
    return this.#result(second);
  }

  #saveLater(): void {
    const { saveAtMs, save } = this.#options;
    if (save && saveAtMs !== undefined) this.#machine.simulation.after(saveAtMs * MS, () => this.#save(`+${saveAtMs.toFixed(3)} ms`));
  }

  #save(moment: string): void {
    this.#options.save?.(stateOf(this.#machine, this.#scenario.title, moment, this.#options.replay));
  }

  /** What became of a first kernel that did not come to its end. */
  #firstFailure(): SecondKernel {
    const { first } = this.#kernels;
    return first !== null && (first.oopses.length > 0 || first.state === "crashed") ? "oops" : "hung";
  }

  /** Waits for the second kernel to be up, or to fail. */
  #secondKernel(): SecondKernel {
    const kernels = this.#kernels;
    this.#until(DOWN_LIMIT_NS, () => kernels.second !== null && kernels.second.state !== "booting");
    const state = kernels.second?.state;
    if (state === "running") {
      this.#step("second-kernel-up", SECOND);
      return "up";
    }
    return state === undefined || state === "booting" ? "hung" : "oops";
  }

  #result(second: SecondKernel): RunResult {
    const { quiet, untranslated, foreign, walks, next, all } = this.#monitors;
    const { names, simulation, notModelled } = this.#machine;
    const claims = all.map((monitor) => monitor.result());
    const start = Math.max(0, this.#wayDownAt - LEAD_NS);
    const clientDevices = [...names.clients.values()];
    // A second kernel that came up and oopsed later is not up.
    const secondKernel = second === "up" && this.#kernels.second?.oopses.length !== 0 ? "oops" : second;
    return {
      title: this.#scenario.title,
      wayDown: this.#scenario.wayDown,
      seed: this.#options.seed,
      verdict: verdictOf({
        anyClaimBroken: claims.some(({ holds }) => !holds),
        kernelFailed: this.#chronicle.oops !== null || secondKernel === "oops" || secondKernel === "hung",
        strayAccesses: foreign.strayAccesses,
        nextKernelBytes: next.bytes,
        ownedBytes: foreign.ownedBytes,
      }),
      claims,
      dma: this.#counters.counts(quiet.accesses, untranslated.accesses),
      foreignWriteBytes: foreign.bytes,
      nextKernelBytesCorrupted: next.bytes,
      staleWalks: walks.walks,
      events: { recorded: this.#counters.recorded, lost: this.#counters.lost, kinds: Object.fromEntries(this.#counters.kinds) },
      secondKernel,
      oops: this.#chronicle.oops,
      kernelChecks: this.#checks.result([this.#kernels.first, this.#kernels.second]),
      stuck: this.#stuck(secondKernel),
      inconclusive: this.#inconclusive,
      wayDownAt: this.#wayDownAt,
      endedAt: simulation.now,
      shutdownOrder: this.#chronicle.shutdownOrder,
      milestones: this.#chronicle.milestones,
      timeline: this.#recorder.timeline(start, Math.min(simulation.now, this.#wayDownAt + SHOWN_NS)),
      sites: this.#recorder.sites,
      lint: Object.fromEntries(this.#lint),
      notModelled: Object.fromEntries(notModelled.counts),
      log: this.#chronicle.log,
      interestingDevices: [...clientDevices, names.smmu],
      smmuDevice: names.smmu,
      clientDevices,
      replay: this.#options.replay,
    };
  }

  #stuck(second: SecondKernel): RunResult["stuck"] {
    if (this.#kernels.ended && second !== "hung") return [];
    return this.#machine.simulation.waitingTasks().map(({ group, task, reason }) => ({ kernel: group, task, reason }));
  }
}

/**
 * Carries a scenario out.
 * @throws HostMisuseError for a machine that cannot be; checked scenarios never do
 */
export function runScenario(scenario: Scenario, options: RunOptions): RunResult {
  return new Run(scenario, options).run();
}
