// SPDX-License-Identifier: MIT
/** Which scenarios no machine could be built from: StreamIDs out of range, windows that overlap, devices without a bus. */
import { HostMisuseError, hex, profiles } from "../../hw/index.ts";
import { Trace } from "../../sim/index.ts";
import { usualBoard } from "../machine/device-tree.ts";
import { Machine } from "../machine/machine.ts";
import { leadsTo, legsOf, stintsOf } from "../run/chain.ts";
import { crashReserve } from "./crash-reserve.ts";
import type { Scenario } from "./types.ts";

/** Something that does not fit, with the path of keys that leads to it. */
export interface Problem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

interface Window {
  readonly name: string;
  readonly base: number;
  readonly size: number;
  readonly path: readonly (string | number)[];
}

const PAGE = 4096;
/** What the bus decodes. */
const BUS_BITS = 48;
/** What the first kernel's image, initrd and device tree need at the start of RAM, at most. */
const FIRST_KERNEL = 0x40_0000;
const MIB = 0x10_0000;
/** What the first kernel needs beside the region of a kexec jump and the copy of it: buffers, and pages of other code. */
const LEFT_BY_JUMP = 32 * MIB;

function windowsOf({ machine }: Scenario): Window[] {
  const board = machine.board ?? usualBoard(machine);
  const windows: Window[] = [
    ...board.memory.map((range) => ({ name: "RAM", ...range, path: ["machine", "memory", "base"] })),
    { name: "the SMMU", base: machine.smmu.base, size: 0x2_0000, path: ["machine", "smmu", "base"] },
    { name: "the MSI frame", base: board.msiFrame.base, size: PAGE, path: ["machine"] },
  ];
  if (machine.pci && board.pci) {
    windows.push({ name: "ECAM", ...board.pci.ecam, path: ["machine", "pci"] });
    windows.push({ name: "the PCI window", ...board.pci.window, path: ["machine", "pci"] });
  }
  machine.devices.forEach(({ name, base }, index) => {
    const place = board.places.get(name);
    if (place) windows.push({ name, ...place.window, path: ["machine", "devices", index, base === undefined ? "name" : "base"] });
  });
  return windows;
}

/** RAM holds the SMMU's tables and its output, so the SMMU must reach all of it. */
function* checkReach({ machine }: Scenario, windows: readonly Window[]): Generator<Problem> {
  for (const { name, base, size, path } of windows) {
    if (base + size > 2 ** BUS_BITS) yield { path, message: `${name} at ${hex(base)} does not end within ${BUS_BITS} address bits` };
  }
  const oas = profiles[machine.smmu.profile]?.oas ?? BUS_BITS;
  for (const { name, base, size, path } of windows) {
    if (name === "RAM" && base + size > 2 ** oas && base + size <= 2 ** BUS_BITS)
      yield {
        path: path.slice(0, -1),
        message: `RAM ends at ${hex(base + size)}: profile ${machine.smmu.profile} reaches ${oas} address bits`,
      };
  }
}

function* checkWindows(scenario: Scenario): Generator<Problem> {
  const windows = windowsOf(scenario);
  yield* checkReach(scenario, windows);
  for (const [index, window] of windows.entries()) {
    if (window.base % PAGE !== 0 || window.size % PAGE !== 0) {
      yield { path: window.path, message: `${window.name} at ${hex(window.base)} does not begin and end on a 4 KiB page` };
    }
    const other = windows.slice(0, index).find(({ base, size }) => base < window.base + window.size && window.base < base + size);
    if (other) yield { path: window.path, message: `${window.name} at ${hex(window.base)} overlaps ${other.name} at ${hex(other.base)}` };
  }
}

function* checkDevices(scenario: Scenario): Generator<Problem> {
  const { machine } = scenario;
  const sidSize = profiles[machine.smmu.profile]?.sidSize ?? 0;
  const names = new Map<string, number>();
  const streams = new Map<number, string>();
  for (const [index, device] of machine.devices.entries()) {
    const path = (key: string): (string | number)[] => ["machine", "devices", index, key];
    if (device.streamId >= 2 ** sidSize) {
      yield {
        path: path("streamId"),
        message: `StreamID ${hex(device.streamId)} does not fit profile ${machine.smmu.profile}: SIDSIZE is ${sidSize}`,
      };
    }
    if (names.has(device.name)) yield { path: path("name"), message: `two devices are named ${device.name}` };
    names.set(device.name, index);
    const twin = streams.get(device.streamId);
    if (twin !== undefined) yield { path: path("streamId"), message: `${device.name} and ${twin} share StreamID ${hex(device.streamId)}` };
    streams.set(device.streamId, device.name);
    if (device.kind === "hdlcd" && !machine.board && machine.devices.findIndex(({ kind }) => kind === "hdlcd") < index)
      yield { path: path("kind"), message: "a second hdlcd: the board has one interrupt line for a display" };
    const needs = device.kind === "e1000e" ? "pci" : "platform";
    if (device.bus !== needs) yield { path: path("bus"), message: `${device.kind} is a ${needs} device` };
    else if (device.bus === "pci" && !machine.pci)
      yield { path: path("kind"), message: `${device.name} has no bus: the machine has no "pci"` };
    if (device.bus === "pci" && device.base !== undefined) yield { path: path("base"), message: "a PCI function has no fixed address" };
    if (device.bus !== "pci" && device.busMasterOff !== undefined)
      yield { path: path("busMasterOff"), message: `${device.name} is no PCI function: it has no bus mastering to turn off` };
    if (device.bus !== "pci" && device.ats === true)
      yield { path: path("ats"), message: `${device.name} is no PCI function: ATS is a service of PCI Express` };
    else if (device.ats !== true && device.atsRefused !== undefined)
      yield { path: path("atsRefused"), message: `${device.name} asks for no translations: it has no ATS` };
    if (device.bus === "pci" && device.linkToSmmu)
      yield { path: path("linkToSmmu"), message: "board code cannot link a PCI function: it is found later" };
  }
}

/** A kexec jump needs room for the other kernel and its pages, and devices whose drivers Linux leaves alone on that way. */
function* checkJump(scenario: Scenario): Generator<Problem> {
  const { machine, wayDown, then = [] } = scenario;
  const ways = [wayDown, ...then.map((further) => further.wayDown)];
  if (!ways.includes("kexec-jump")) return;
  const { memory } = machine;
  const { base, size } = crashReserve(scenario);
  const path = ["kernel", "crashReserve"];
  if (base < memory.base + FIRST_KERNEL || base + size > memory.base + memory.size)
    yield { path, message: `the region of a kexec jump's kernel at ${hex(base)} does not lie in RAM behind the first kernel` };
  else if (2 * size + LEFT_BY_JUMP > memory.size)
    yield {
      path,
      message: `a kexec jump keeps a copy of its region of ${size / MIB} MiB: RAM of ${memory.size / MIB} MiB has no place for it`,
    };
  for (const [index, { name, kind }] of machine.devices.entries()) {
    if (kind === "e1000e")
      yield {
        path: ["machine", "devices", index, "kind"],
        message: `${name} cannot go through a kexec jump: the callbacks for system sleep of the driver of ${kind} are not modelled`,
      };
  }
  for (const [index, { kernel, back, waits }] of stintsOf(legsOf(scenario).map((leg) => leg.leadsTo)).entries()) {
    const further = then[index - 1];
    if (further === undefined) continue;
    const at = (key: string): (string | number)[] => ["then", index - 1, key];
    const way = further.wayDown;
    if (back && (further.hook ?? further.smmuShutdown) !== undefined)
      yield {
        path: at(further.hook === undefined ? "smmuShutdown" : "hook"),
        message: "a kernel that has come back has the drivers that it had",
      };
    if (waits !== null && kernel > waits && (way === "kexec" || way === "kdump"))
      yield {
        path: at("wayDown"),
        message: `a kexec jump's kernel has its region only: there is no memory for the kernel that a ${way} would start`,
      };
    if (way === "kdump" && back)
      yield {
        path: at("wayDown"),
        message: "a kernel that has come back keeps the other kernel where the crash kernel's reserve would be",
      };
  }
}

/** A way down needs a kernel that goes it, and one that jumps needs memory for the kernel it jumps to. */
function* checkChain(scenario: Scenario): Generator<Problem> {
  const { wayDown, then = [] } = scenario;
  let before = wayDown;
  for (const [index, { wayDown: way }] of then.entries()) {
    const path = ["then", index, "wayDown"];
    if (leadsTo(before, scenario) === null) {
      const why = before === "panic" ? ", which has no panicTimeoutSec" : "";
      yield { path, message: `no kernel comes after the ${before} before it${why}` };
      return;
    }
    if (before === "kdump" && (way === "kexec" || way === "kdump" || way === "kexec-jump"))
      yield { path, message: `a crash kernel has its reserve only: there is no memory for the kernel that a ${way} would start` };
    before = way;
  }
}

/** What the parts themselves refuse although each check above let it pass. */
function* checkBuild({ machine, workload }: Scenario): Generator<Problem> {
  try {
    void new Machine(machine, { seed: 1, trace: new Trace(), workload });
  } catch (error) {
    if (!(error instanceof HostMisuseError)) throw error;
    yield { path: ["machine"], message: `no such machine can be built: ${error.message}` };
  }
}

/** Everything that does not fit together. */
export function checkScenario(scenario: Scenario): Problem[] {
  const { machine, expect } = scenario;
  const problems = [...checkWindows(scenario), ...checkDevices(scenario)];
  if (scenario.kernel.fwDevlinkStrict && scenario.kernel.fwDevlink === "off")
    problems.push({ path: ["kernel", "fwDevlinkStrict"], message: "fwDevlinkStrict has no meaning with fwDevlink: off" });
  if (machine.smmuNode > machine.devices.length) {
    problems.push({
      path: ["machine", "smmuNode"],
      message: `the SMMU's node cannot come after ${machine.smmuNode} devices: there ${machine.devices.length === 1 ? "is 1 device" : `are ${machine.devices.length} devices`}`,
    });
  }
  problems.push(...checkChain(scenario), ...checkJump(scenario));
  const waysDown = [scenario.wayDown, ...(scenario.then ?? []).map(({ wayDown }) => wayDown)];
  const reserve = crashReserve(scenario);
  const { memory } = machine;
  if (
    waysDown.includes("kdump") &&
    (reserve.base < memory.base + FIRST_KERNEL || reserve.base + reserve.size > memory.base + memory.size)
  ) {
    problems.push({
      path: ["kernel", "crashReserve"],
      message: `the crash kernel's reserve at ${hex(reserve.base)} does not lie in RAM behind the first kernel`,
    });
  }
  const both = expect.holds.find((claim) => expect.broken.includes(claim));
  if (both) problems.push({ path: ["expect", "broken"], message: `${both} is expected both to hold and to be broken` });
  return problems.length > 0 ? problems : [...checkBuild(scenario)];
}
