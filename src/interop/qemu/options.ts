// SPDX-License-Identifier: MIT
/**
 * The command line as qemu-system-aarch64 takes it: what libqtest passes and what people add. Options that mean nothing here
 * are skipped with their values.
 */
import { hex } from "../../hw/index.ts";
import { parseKeyValues } from "./key-values.ts";
import { type DeviceRequest, MAX_RAM, type MachineRequest, VIRT } from "./machine.ts";
import { parseU64 } from "./numbers.ts";
import { DEFAULT_PROFILE, profileNames, smmuProfile } from "./profile.ts";

/** A bad command line; the message is one clear line. */
export class QemuOptionError extends Error {
  override readonly name = "QemuOptionError";
}

export interface QemuOptions {
  /** `--help`: nothing else counts. */
  readonly help: boolean;
  /** `--version`: nothing else counts. */
  readonly version: boolean;
  /** Path of a listening unix socket, or standard input and output. */
  readonly qtest: { readonly path: string } | "stdio";
  /** A file that gets each command and reply. */
  readonly qtestLog: string | undefined;
  /** Paths of listening unix sockets that want QMP. */
  readonly monitors: readonly string[];
  readonly machine: MachineRequest;
  /** `-d guest_errors`. */
  readonly guestErrors: boolean;
}

type Values = ReadonlyMap<string, string>;

/** What the options gather, in the order in which they come. */
class Draft {
  qtest: QemuOptions["qtest"] | undefined;
  qtestLog: string | undefined;
  readonly machine = new Map<string, string>();
  /** Socket chardevs by id; undefined: a chardev of another kind. */
  readonly chardevs = new Map<string, string | undefined>();
  readonly monitorChardevs: string[] = [];
  readonly monitorPaths: string[] = [];
  readonly devices: DeviceRequest[] = [];
  ramSize = 512 * 2 ** 20;
  guestErrors = false;
}

const MODELS = ["iommu-testdev", "edu"] as const;
const isModel = (name: string): name is DeviceRequest["model"] => MODELS.some((model) => model === name);

function fail(message: string): never {
  throw new QemuOptionError(message);
}

/** The options that have a meaning, all with a value. */
const handlers: Readonly<Record<string, (draft: Draft, value: string) => void>> = {
  qtest: (draft, value) => {
    draft.qtest = value === "stdio" ? "stdio" : { path: unixPath("-qtest", value) };
  },
  "qtest-log": (draft, value) => {
    draft.qtestLog = value === "none" ? undefined : value;
  },
  chardev: (draft, value) => {
    const values = parseKeyValues(value, "backend");
    const id = values.get("id") ?? fail(`-chardev ${value}: id is missing`);
    draft.chardevs.set(id, values.get("backend") === "socket" ? clientPath(`-chardev ${value}`, values) : undefined);
  },
  object: (draft, value) => {
    const values = parseKeyValues(value, "qom-type");
    if (values.get("qom-type") === "monitor-qmp")
      draft.monitorChardevs.push(values.get("chardev") ?? fail(`-object ${value}: chardev is missing`));
  },
  mon: (draft, value) => {
    const values = parseKeyValues(value, "chardev");
    if (values.get("mode") === "control") draft.monitorChardevs.push(values.get("chardev") ?? fail(`-mon ${value}: chardev is missing`));
  },
  qmp: (draft, value) => void draft.monitorPaths.push(unixPath("-qmp", value)),
  machine: (draft, value) => {
    for (const [key, given] of parseKeyValues(value, "type")) draft.machine.set(key, given);
  },
  m: (draft, value) => {
    draft.ramSize = ramSize(parseKeyValues(value, "size").get("size") ?? "");
  },
  device: (draft, value) => void draft.devices.push(deviceRequest(value)),
  d: (draft, value) => {
    draft.guestErrors = value.split(",").includes("guest_errors");
  },
};

const ALIASES: Readonly<Record<string, string>> = { M: "machine" };

/** `unix:PATH[,server=off]`. */
function unixPath(option: string, value: string): string {
  if (!value.startsWith("unix:")) fail(`${option} ${value}: only unix:PATH${option === "-qtest" ? " and stdio are" : " is"} possible`);
  return clientPath(`${option} ${value}`, parseKeyValues(`path=${value.slice(5)}`, "path"));
}

/** The path of a socket on which somebody else listens. */
function clientPath(what: string, values: Values): string {
  if (["on", "yes", "true"].includes(values.get("server") ?? "off")) fail(`${what}: this program connects and does not listen (server=on)`);
  return values.get("path") || fail(`${what}: path is missing`);
}

/** MiB, or with a suffix. @returns whole pages of bytes */
function ramSize(text: string): number {
  const [, digits = "", suffix = "M"] = /^([0-9]+)([KMGT]?)(?:i?B)?$/i.exec(text) ?? fail(`-m ${text}: not a size`);
  const scale = { K: 10, M: 20, G: 30, T: 40 }[(suffix || "M").toUpperCase()] ?? 20;
  const size = Math.ceil((Number(digits) * 2 ** scale) / 4096) * 4096;
  if (size === 0 || size > MAX_RAM) fail(`-m ${text}: RAM is at least 1 page and ends below ${hex(VIRT.ECAM)}`);
  return size;
}

function deviceRequest(text: string): DeviceRequest {
  const { driver: model = "", id: _id, bus: _bus, addr, dma_mask: mask, ...others } = Object.fromEntries(parseKeyValues(text, "driver"));
  if (!isModel(model)) return fail(`-device ${text}: '${model}' is not a device here; there are ${MODELS.join(" and ")}`);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) fail(`-device ${text}: property '${model}.${unknown}' does not exist`);
  if (mask !== undefined && model !== "edu") fail(`-device ${text}: property '${model}.dma_mask' does not exist`);
  const dmaMask = mask === undefined ? undefined : (parseU64(mask) ?? fail(`-device ${text}: dma_mask is not a number`));
  return { model, devfn: addr === undefined ? undefined : deviceAndFunction(text, addr), dmaMask };
}

/** `SLOT[.FUNCTION]`, hexadecimal. */
function deviceAndFunction(text: string, addr: string): number {
  const [, slot = "", fn = "0"] = /^(?:0x)?([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(addr) ?? [];
  const device = Number.parseInt(slot, 16);
  return device < 32 ? (device << 3) | Number(fn) : fail(`-device ${text}: addr is SLOT[.FUNCTION], 0 to 1f and 0 to 7`);
}

function machineRequest({ machine, devices, ramSize }: Draft): MachineRequest {
  const type = machine.get("type") ?? "virt";
  if (type === "none") return { kind: "none", smmu: undefined, ramSize, devices: [] };
  if (!/^virt(-[0-9]+\.[0-9]+)?$/.test(type)) fail(`-machine ${type}: not a machine here; there are virt and none`);
  const profile = machine.get("x-smmu-profile");
  // As in QEMU virt alone has no SMMU; who names a profile wants one.
  const iommu = machine.get("iommu") ?? (machine.has("type") && profile === undefined ? "none" : "smmuv3");
  if (iommu !== "smmuv3" && iommu !== "none") fail(`-machine virt,iommu=${iommu}: iommu is smmuv3 or none`);
  if (profile !== undefined && iommu === "none") fail(`-machine virt,iommu=none,x-smmu-profile=${profile}: a profile needs iommu=smmuv3`);
  const smmu = smmuProfile(profile ?? DEFAULT_PROFILE);
  if (!smmu) return fail(`-machine virt,x-smmu-profile=${profile}: not a profile; there are ${profileNames.join(", ")}`);
  return { kind: "virt", smmu: iommu === "smmuv3" ? smmu : undefined, ramSize, devices };
}

function monitorPaths({ chardevs, monitorChardevs, monitorPaths: paths }: Draft): string[] {
  const ofChardev = (id: string): string => {
    if (!chardevs.has(id)) fail(`QMP wants chardev '${id}', and there is no -chardev of that id`);
    return chardevs.get(id) ?? fail(`QMP wants chardev '${id}', which is not a socket`);
  };
  return [...monitorChardevs.map(ofChardev), ...paths];
}

/**
 * Reads a command line.
 * @param args without the program's name
 * @throws QemuOptionError naming what is wrong
 */
export function parseQemuOptions(args: readonly string[]): QemuOptions {
  const draft = new Draft();
  const asked = (...names: string[]): boolean => args.some((arg) => names.includes(arg));
  const [help, version] = [asked("-h", "-help", "--help"), asked("-version", "--version")];
  const rest = help || version ? [] : args.filter((arg) => arg !== "");
  for (let i = 0; i < rest.length; i++) {
    const option = rest[i]!;
    if (!option.startsWith("-")) fail(`unexpected argument '${option}'`);
    const name = option.replace(/^--?/, "");
    const key = ALIASES[name] ?? name;
    const value = rest[i + 1];
    const handler = Object.hasOwn(handlers, key) ? handlers[key] : undefined;
    if (handler) {
      handler(draft, value ?? fail(`${option} needs a value`));
      i++;
    } else if (value !== undefined && !value.startsWith("-")) {
      i++;
    }
  }
  if (!draft.qtest && !help && !version) fail("no qtest socket: give -qtest unix:PATH (or -qtest stdio); --help tells more");
  return {
    help,
    version,
    qtest: draft.qtest ?? "stdio",
    qtestLog: draft.qtestLog,
    monitors: monitorPaths(draft),
    machine: machineRequest(draft),
    guestErrors: draft.guestErrors,
  };
}
