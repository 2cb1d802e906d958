// SPDX-License-Identifier: MIT
/**
 * One run: a machine, its first kernel at work, the way down, and the kernel that comes next, all of it watched. The next
 * kernel may go down as well, and the one after it.
 *
 * A run is a pure function of the scenario and the seed.
 */
import type { DriverModule, Kernel } from "../../kernel/index.ts";
import { type Coroutine, type RunOutcome, type Task, Trace } from "../../sim/index.ts";
import type { LabEvents, LabTrace, MachineStep } from "../events.ts";
import type { CustomClients } from "../machine/clients.ts";
import { Machine } from "../machine/machine.ts";
import { Monitors } from "../monitors/all.ts";
import type { Scenario } from "../scenario/types.ts";
import { KERNEL_NAMES, legsOf, type Leg } from "./chain.ts";
import { type Chance, chanceOf } from "./chance.ts";
import { Chronicle } from "./chronicle.ts";
import { WayDownCounters } from "./counters.ts";
import { Images } from "./images.ts";
import { type IdleClient, ProbeBook } from "./deferred.ts";
import { KernelChecks } from "./kernel-checks.ts";
import { Kernels } from "./kernels.ts";
import { KernelLedger } from "./ledger.ts";
import type { RunResult } from "./result.ts";
import { type MachineState, stateOf } from "./state.ts";
import { TimelineRecorder } from "./timeline.ts";
import type { SecondKernel } from "./types.ts";
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

function* emergency(kernel: Kernel): Coroutine<void> {
  kernel.reboot.emergency_restart();
}

class Run {
  readonly #scenario: Scenario;
  readonly #options: RunOptions;
  readonly #trace: LabTrace = new Trace<LabEvents>();
  readonly #machine: Machine;
  readonly #chance: Chance;
  readonly #legs: readonly Leg[];
  readonly #kernels: Kernels;
  readonly #images: Images;
  readonly #ledger: KernelLedger;
  readonly #monitors: Monitors;
  readonly #chronicle: Chronicle;
  readonly #counters = new WayDownCounters();
  readonly #recorder = new TimelineRecorder();
  readonly #checks = new KernelChecks();
  readonly #probes: ProbeBook;
  readonly #idle: IdleClient[] = [];
  /** What the lint said of the SMMU's driver, by rule. */
  readonly #lint = new Map<string, number>();
  /** The way down of each kernel that went down, the last one if there were more. */
  readonly #tasks = new Map<Kernel, Task>();
  /** The stint whose kernel went down last; -1: none did. */
  #goingDown = -1;
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
    this.#legs = legsOf(scenario);
    this.#images = new Images(this.#machine);
    const images = this.#images;
    this.#kernels = new Kernels(scenario, this.#machine, this.#trace, this.#chance, options.drivers ?? [], {
      entered: (kernel, startedBy) => {
        if (startedBy === "return") images.back(kernel);
        this.#ledger.entered(kernel, startedBy);
      },
      leaving: (kernel) => images.leaving(kernel),
    });
    const kernels = this.#kernels;
    this.#monitors = new Monitors(this.#machine, KERNEL_NAMES, () => kernels.all.slice(1).map((kernel) => images.damageOf(kernel)));
    this.#ledger = new KernelLedger(this.#machine, this.#counters, this.#monitors);
    this.#chronicle = new Chronicle(new Set([...this.#machine.names.clients.values(), this.#machine.names.smmu]));
    for (const monitor of this.#monitors.all) monitor.attach(this.#trace);
    this.#probes = new ProbeBook(kernels.all);
    this.#chronicle.attach(this.#trace);
    this.#probes.attach(this.#trace);
    this.#counters.attach(this.#trace);
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
    if (outcome.kind === "deadlock") for (const kernel of this.#kernels.all) kernel.debug.hung.standstill();
    return outcome;
  }

  #for(ms: number): void {
    if (ms > 0) this.#until(ms * MS, () => false);
  }

  /** Boots the first kernel and lets it work; false if it does not come up. */
  #boot(): boolean {
    const first = this.#kernels.bootFirst();
    this.#step("cold-boot", first.name);
    this.#until(BOOT_LIMIT_NS, () => first.state !== "booting");
    if (first.state === "running") return true;
    this.#inconclusive ||= first.state === "booting";
    return false;
  }

  /** A kernel that is up loads the next one and works for a while. The clients' world begins with the first. */
  #work(index: number): void {
    this.#kernels.loadNext();
    if (index === 0) for (const client of this.#machine.clients) client.start();
    const kernel = this.#kernels.at(index)!;
    const idle = this.#idleClients();
    this.#until(START_LIMIT_NS, () => idle.size === 0);
    for (const device of idle) this.#idleClient(kernel, device);
    const { beforeMs } = this.#legs[index]!;
    const phaseMs = this.#chance.phaseUs / 1000;
    this.#trace.emit("lab.waits", {
      kernel: kernel.name,
      text: `works until its way down, ${(beforeMs + phaseMs).toFixed(3)} ms: ${beforeMs} as the scenario says, the rest by the seed`,
    });
    this.#for(beforeMs + phaseMs);
  }

  #idleClient(kernel: Kernel, device: string): void {
    const { spec, board, names } = this.#machine;
    const pci = spec.devices.some(({ name, bus }) => bus === "pci" && names.clients.get(name) === device);
    const why = this.#probes.why(kernel, device, pci ? board.pci?.deviceName : undefined, this.#wayDownAt);
    this.#idle.push({ kernel: kernel.name, device, why });
    this.#trace.emit("lab.waits", {
      kernel: kernel.name,
      text: `${device} was waited for ${START_LIMIT_NS / MS} ms and did no DMA: ${why}`,
    });
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

  #wayDown(kernel: Kernel, { wayDown }: Leg): Coroutine<unknown> {
    switch (wayDown) {
      case "reboot":
        return kernel.reboot.kernel_restart("quiesce");
      case "kexec":
      case "kexec-jump":
        return kernel.kexec.kernel_kexec();
      case "kdump":
      case "panic":
        return kernel.kexec.panic("sysrq triggered crash");
      case "power-off":
        return kernel.reboot.kernel_power_off();
      case "halt":
        return kernel.reboot.kernel_halt();
      case "emergency":
        return emergency(kernel);
    }
  }

  run(): RunResult {
    const { simulation } = this.#machine;
    let outcome: SecondKernel = "up";
    if (this.#boot()) {
      for (const [index, leg] of this.#legs.entries()) {
        this.#work(index);
        outcome = this.#goDown(index, leg);
        if (outcome !== "up") break;
      }
      this.#for(this.#scenario.workload.afterMs);
    } else {
      outcome = this.#failure(this.#kernels.first);
    }
    this.#ledger.outcome(outcome);
    this.#machine.smmu.audit();
    for (const monitor of this.#monitors.all) monitor.finish(simulation.now);
    if (this.#options.saveAtMs === undefined) this.#save("the end of the run");
    return this.#result(outcome);
  }

  /** One kernel's way down. @returns what became of the next kernel, or of this one if it did not get there */
  #goDown(index: number, leg: Leg): SecondKernel {
    const kernel = this.#kernels.at(index)!;
    this.#goingDown = index;
    if (index === 0) this.#wayDownAt = this.#machine.simulation.now;
    this.#ledger.goesDown(kernel, leg);
    this.#step("way-down", kernel.name);
    if (index === 0) this.#saveLater();
    const task = kernel.spawn(`${leg.wayDown}:1`, this.#wayDown(kernel, leg));
    this.#tasks.set(kernel, task);
    const ended = (): boolean => this.#kernels.isOver(index);
    const spins = (): boolean => leg.wayDown === "panic" && leg.leadsTo === null && kernel.state === "crashed";
    // Nobody goes on with a way down whose task has died.
    this.#until(DOWN_LIMIT_NS, () => ended() || spins() || task.state === "done" || task.state === "killed");
    if (spins()) this.#kernels.spins(kernel);
    if (!ended()) return this.#failure(kernel);
    return leg.leadsTo === null ? "none" : this.#nextKernel(index + 1);
  }

  #saveLater(): void {
    const { saveAtMs, save } = this.#options;
    if (save && saveAtMs !== undefined) this.#machine.simulation.after(saveAtMs * MS, () => this.#save(`+${saveAtMs.toFixed(3)} ms`));
  }

  #save(moment: string): void {
    this.#options.save?.(stateOf(this.#machine, this.#scenario.title, moment, this.#options.replay));
  }

  /** What became of a kernel that did not come to its end. */
  #failure(kernel: Kernel | null): SecondKernel {
    return kernel !== null && (kernel.oopses.length > 0 || kernel.state === "crashed") ? "oops" : "hung";
  }

  /** Waits for the next kernel to be up, or to fail. */
  #nextKernel(index: number): SecondKernel {
    const kernels = this.#kernels;
    const there = (kernel: Kernel | undefined): boolean =>
      kernel !== undefined && kernel.state !== "booting" && !this.#isComingBack(kernel);
    this.#until(DOWN_LIMIT_NS, () => there(kernels.at(index)));
    const next = kernels.at(index);
    if (next && this.#isComingBack(next)) return this.#failure(next);
    if (next?.state === "running") {
      this.#step("next-kernel-up", next.name);
      return "up";
    }
    return next === undefined || next.state === "booting" ? "hung" : "oops";
  }

  /** Its way down was a jump that has come back, and its devices are not all up again. */
  #isComingBack(kernel: Kernel): boolean {
    const state = this.#tasks.get(kernel)?.state;
    return state === "runnable" || state === "waiting";
  }

  #result(outcome: SecondKernel): RunResult {
    const { foreign, walks, next, all } = this.#monitors;
    const { names, simulation, notModelled } = this.#machine;
    const claims = all.map((monitor) => monitor.result());
    const start = Math.max(0, this.#wayDownAt - LEAD_NS);
    const clientDevices = [...names.clients.values()];
    const secondKernel = this.#ledger.secondKernel();
    return {
      title: this.#scenario.title,
      wayDown: this.#scenario.wayDown,
      seed: this.#options.seed,
      verdict: verdictOf({
        anyClaimBroken: claims.some(({ holds }) => !holds),
        kernelFailed: this.#chronicle.oops !== null || this.#ledger.failed,
        strayAccesses: foreign.strayAccesses,
        nextKernelBytes: next.bytes,
        ownedBytes: foreign.ownedBytes,
      }),
      claims,
      dma: this.#ledger.counts(),
      foreignWriteBytes: foreign.bytes,
      nextKernelBytesCorrupted: next.bytes,
      staleWalks: walks.walks,
      events: { recorded: this.#counters.recorded, lost: this.#counters.lost, kinds: Object.fromEntries(this.#counters.kinds) },
      secondKernel,
      kernelStates: this.#ledger.states(),
      oops: this.#chronicle.oops,
      kernelChecks: this.#checks.result(this.#kernels.all),
      ...(this.#scenario.then === undefined ? {} : { kernels: this.#ledger.results(this.#images) }),
      deferredProbes: this.#probes.deferred,
      idleClients: this.#idle,
      stuck: this.#stuck(outcome),
      inconclusive: this.#inconclusive,
      wayDownAt: this.#wayDownAt,
      endedAt: simulation.now,
      shutdownOrder: this.#chronicle.shutdownOrder,
      milestones: this.#chronicle.milestones,
      timeline: this.#recorder.timeline(start, Math.min(simulation.now, this.#ledger.lastWayDownAt + SHOWN_NS)),
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

  #stuck(outcome: SecondKernel): RunResult["stuck"] {
    if (this.#kernels.isOver(this.#goingDown) && outcome !== "hung") return [];
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
