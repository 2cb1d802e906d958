// SPDX-License-Identifier: MIT
/** Explains a translation that a saved machine would make: what it is asked need never have happened in the run. */
import {
  createSmmuHost,
  HostMisuseError,
  NotModelledError,
  Smmu,
  type SmmuEvents,
  type SmmuHost,
  SystemBus,
  Transaction,
  hex,
  hex64,
  restoreSnapshot,
} from "../../hw/index.ts";
import type { MachineState } from "../../lab/index.ts";
import { Simulation, Trace } from "../../sim/index.ts";
import { ExplainError } from "./explain.ts";
import type { Explanation } from "./types.ts";
import { Watch, explainWalk } from "./walkthrough.ts";

/** What to ask of a state. */
export interface StateRequest {
  readonly streamId: number;
  /** undefined: none. */
  readonly substreamId: number | undefined;
  /** Below 2^64. */
  readonly address: bigint;
  readonly write: boolean;
  readonly privileged: boolean;
  readonly instruction: boolean;
}

/** A machine of the state's memory and SMMU alone. @throws ExplainError */
function build(state: MachineState, watch: Watch): Smmu {
  const bus = new SystemBus(52);
  const trace = new Trace<SmmuEvents>();
  trace.on("smmu.event", ({ data }) => watch.event(data.words));
  try {
    bus.addRam({ name: "RAM", ...state.memory });
    for (const { address, bytes } of state.pages) bus.memory.writeBytes(address, bytes);
    const plain = createSmmuHost({ simulation: new Simulation(), bus });
    const host: SmmuHost = {
      ...plain,
      load: (kind, address, out, count, level) => {
        const status = plain.load(kind, address, out, count);
        watch.load(kind, address, out.subarray(0, count), status, level);
        return status;
      },
      // A look at a state changes nothing in it.
      store: () => 0,
    };
    // What waited for a CMD_SYNC goes on waiting.
    const smmu = new Smmu(state.smmu.config, host, { trace, choices: { maintenance: "at-sync" } });
    restoreSnapshot(smmu, state.smmu);
    return smmu;
  } catch (error) {
    if (error instanceof HostMisuseError || error instanceof NotModelledError || error instanceof RangeError)
      throw new ExplainError(error.message);
    throw error;
  }
}

function accessText({ write, privileged, instruction }: StateRequest): string {
  return [privileged ? ["privileged"] : [], instruction ? ["instruction"] : [], write ? "write" : "read"].flat().join(" ");
}

/** @throws ExplainError for a state that no SMMU can be built from */
export function explainState(state: MachineState, request: StateRequest): Explanation {
  const watch = new Watch();
  const smmu = build(state, watch);
  const tx = new Transaction();
  tx.streamId = request.streamId;
  tx.substreamId = request.substreamId ?? -1;
  tx.addressHi = Number(request.address >> 32n);
  tx.addressLo = Number(request.address & 0xffff_ffffn);
  tx.write = request.write;
  tx.privileged = request.privileged;
  tx.instruction = request.instruction;
  const walk = explainWalk({
    smmu,
    tx,
    watch,
    withCaches: () => smmu.translate(tx),
    fromMemory: () => {
      smmu.translation.reset();
      if (state.smmu.pending.serviceFailed) smmu.translation.failService();
      return smmu.translate(tx);
    },
  });
  return {
    subject: { state: state.title, moment: state.moment },
    request: {
      streamId: hex(request.streamId),
      substreamId: request.substreamId === undefined ? undefined : hex(request.substreamId),
      address: hex64(tx.addressHi, tx.addressLo),
      access: accessText(request),
      injected: "",
    },
    ...walk,
    recorded: undefined,
    differences: [],
  };
}
