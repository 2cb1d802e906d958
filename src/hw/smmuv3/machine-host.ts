// SPDX-License-Identifier: MIT
/** What surrounds the SMMU in a simulated machine: the virtual clock, the system bus, and lines to the interrupt controller. */
import { silentTrace, type Simulation, type TraceSink } from "../../sim/index.ts";
import { HostMisuseError } from "../errors.ts";
import { BusStatus, SystemBus } from "../memory/system-bus.ts";
import { descriptorLoads } from "./descriptor-load.ts";
import type { SmmuAccessKind, SmmuEvents, SmmuHost, SmmuLine } from "./ports.ts";
import { checkMethods, checkNames, shown } from "../checks.ts";

export interface MachineHostOptions {
  readonly simulation: Simulation;
  readonly bus: SystemBus;
  /** Gets "smmu.access" for each access of the SMMU itself. Default: nobody listens. */
  readonly trace?: TraceSink<SmmuEvents>;
  /** A wired interrupt: an edge. Default: not connected. */
  readonly pulse?: (line: SmmuLine) => void;
  /** IDR0.SEV. Default: not connected. */
  readonly sendEvent?: () => void;
  /** IDR0.ATS: carries Invalidate Requests to functions. Default: ATS reaches none, and each counts as completed. */
  readonly invalidateAtc?: NonNullable<SmmuHost["invalidateAtc"]>;
}

const CODE = "SMMU_HOST";
const CALL = "createSmmuHost({ simulation, bus })";

function check(options: MachineHostOptions): void {
  for (const name of ["simulation", "bus"] as const) {
    if (options?.[name] === undefined) throw new HostMisuseError(CODE, `${CALL}: ${name} is missing`);
  }
  checkNames(CODE, CALL, options, ["simulation", "bus", "trace", "pulse", "sendEvent", "invalidateAtc"]);
  const { simulation, bus, trace, ...lines } = options;
  checkMethods(CODE, `${CALL}: simulation`, simulation, ["after", "advance"], "a Simulation");
  checkMethods(CODE, `${CALL}: bus`, bus, ["loadWords", "storeWords", "isRam"], "a SystemBus");
  if (trace !== undefined) checkMethods(CODE, `${CALL}: trace`, trace, ["wants", "emit"], "a TraceSink, such as a Trace");
  for (const [name, line] of Object.entries(lines)) {
    if (line !== undefined && typeof line !== "function")
      throw new HostMisuseError(CODE, `${CALL}: ${name} is ${shown(line)}: it has to be a function`);
  }
}

/** The host of an SMMU on a simulated machine. @throws HostMisuseError without a simulation or a bus, or for what is none */
export function createSmmuHost(options: MachineHostOptions): SmmuHost {
  check(options);
  const { simulation, bus, trace = silentTrace<SmmuEvents>(), pulse = () => {}, sendEvent = () => {} } = options;
  const { invalidateAtc = (_streamId, _request, ended) => ended("completed") } = options;
  const traced = (access: SmmuAccessKind, address: number, count: number, write: boolean, status: BusStatus): BusStatus => {
    if (trace.wants("smmu.access")) trace.emit("smmu.access", { access, address, length: 4 * count, write, bus: status });
    return status;
  };
  const load: SmmuHost["load"] = (kind, address, out, count) => {
    const status = bus.loadWords(address, out, count);
    return trace.wants("smmu.access") ? traced(kind, address, count, false, status) : status;
  };
  // A bus that loads otherwise than a SystemBus does gets every access there.
  if (bus.loadWords === SystemBus.prototype.loadWords) {
    descriptorLoads.set(load, (kind, hi, lo, out) => {
      const status = bus.loadPair(hi, lo, out);
      return trace.wants("smmu.access") ? traced(kind, hi * 0x1_0000_0000 + (lo >>> 0), 2, false, status) : status;
    });
  }
  return {
    now: () => simulation.now,
    after: (delayNs, action) => simulation.after(delayNs, action),
    load,
    store: (kind, address, words, count) => traced(kind, address, count, true, bus.storeWords(address, words, count)),
    peek: (address, out, count) => {
      if (!bus.isRam(address, 4 * count)) return BusStatus.abort;
      bus.memory.loadWords(address, out, count);
      return BusStatus.ok;
    },
    pulse,
    sendEvent,
    invalidateAtc,
  };
}
