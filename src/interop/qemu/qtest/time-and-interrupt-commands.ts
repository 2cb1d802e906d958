// SPDX-License-Identifier: MIT
/** The commands that move the clock and watch interrupt lines. */
import type { NamedDevice } from "../machine.ts";
import { type Arguments, type Command, type QtestSession, Refused } from "./command.ts";

/** Beyond this the virtual clock would lose nanoseconds. */
const LAST_TIME = BigInt(Number.MAX_SAFE_INTEGER);

function namedDevice({ machine }: QtestSession, args: Arguments): NamedDevice {
  const device = machine.find(args.word(0));
  if (!device) throw new Refused("FAIL Unknown device");
  return device;
}

/** The reply if a device is watched already: there can be one. */
function watchedAlready({ watched }: QtestSession, device: NamedDevice): string | undefined {
  if (!watched) return undefined;
  return watched === device ? "OK" : "FAIL IRQ intercept already enabled";
}

export const timeAndInterruptCommands: Readonly<Record<string, Command>> = {
  clock_step: ({ machine }, args) => {
    const { simulation } = machine;
    const before = simulation.now;
    if (args.optional(0) === undefined) {
      if (!machine.advanceToNextEvent()) {
        throw new Refused("FAIL cannot advance clock to the next deadline because there is no pending deadline");
      }
    } else {
      const step = args.signed(0);
      if (step > 0n && BigInt(before) + step <= LAST_TIME) simulation.advance(Number(step));
    }
    return simulation.now > before ? `OK ${simulation.now}` : "FAIL could not advance time";
  },
  clock_set: ({ machine: { simulation } }, args) => {
    const time = args.signed(0);
    if (time > BigInt(simulation.now) && time <= LAST_TIME) simulation.advance(Number(time) - simulation.now);
    return `${BigInt(simulation.now) === time ? "OK" : "FAIL"} ${simulation.now}`;
  },
  /** No device here has inputs. */
  irq_intercept_in: (session, args) => {
    const device = namedDevice(session, args);
    if (args.optional(1) !== undefined) return "FAIL Interception of named in-GPIOs not yet supported";
    return watchedAlready(session, device) ?? "FAIL No intercepts installed";
  },
  irq_intercept_out: (session, args) => {
    const device = namedDevice(session, args);
    const already = watchedAlready(session, device);
    if (already !== undefined) return already;
    const { outputs } = device;
    if (!outputs || outputs.name !== args.optional(1)) return "FAIL No intercepts installed";
    session.watched = device;
    outputs.watch((output, level) => session.send(`IRQ ${level ? "raise" : "lower"} ${output}`));
    return "OK";
  },
  set_irq_in: (session, args) => {
    namedDevice(session, args);
    args.word(1);
    args.signed(2);
    args.signed(3);
    return "FAIL No such input";
  },
};
