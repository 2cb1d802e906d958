// SPDX-License-Identifier: MIT
/** The shutdown order of a board for people, in 80 columns, and for programs. */
import { type Paint, wrap } from "../text.ts";
import { DRIVER_TABLE_LINUX } from "./driver-table.ts";
import type { OrderClient, OrderDevice, OrderDocument, OrderOptions, OrderResult } from "./types.ts";

const WIDTH = 80;
/** Columns of a table's parts. */
const NAME = 27;
const DRIVER = 18;
const SMMU = 14;
/** More names than this are only counted, unless all is asked for. */
const FEW = 8;

function paragraph(text: string, indent: string): string[] {
  return wrap(text, WIDTH - indent.length).map((line) => `${indent}${line}`);
}

/** A name in a column; one that is too long keeps its end, which tells devices apart. */
function cut(name: string, width: number): string {
  return (name.length > width ? `…${name.slice(name.length - width + 1)}` : name).padEnd(width);
}

function roleOf({ name, role }: OrderDevice, clients: readonly OrderClient[]): string {
  const client = clients.find((candidate) => candidate.name === name);
  return client ? `behind ${cut(client.smmu, SMMU).trimEnd()}` : role === "smmu" ? "SMMU" : "";
}

function line(device: OrderDevice, place: number, result: OrderResult): string {
  const driver = device.driver ?? (device.known ? "none is bound" : "none is known");
  const hook = device.hook === true ? "yes" : device.hook === false ? "no" : device.known ? "-" : "?";
  const role = roleOf(device, result.clients);
  return `${String(place).padStart(5)}  ${cut(device.name, NAME)} ${cut(driver, DRIVER)} ${hook.padEnd(4)} ${role}`.trimEnd();
}

/** What is wrong with a client, as a sentence. */
function risk(client: OrderClient): string {
  const parts = client.risks.map((what) => {
    if (what === "after-smmu") return `goes after ${client.smmu}, and may do DMA when that stops translating`;
    const kexec = client.bus === "pci" ? " (before a kexec its bus clears bus mastering)" : "";
    return `its driver ${client.driver!} has no shutdown hook: nothing stops its DMA${kexec}`;
  });
  return `${client.name}: ${parts.join("; ")}`;
}

/** Everything, or SMMUs and their clients only. */
export function orderText(board: string, options: OrderOptions, result: OrderResult, all: boolean, paint: Paint): string {
  const shown = result.shutdownOrder
    .map((device, index) => ({ device, place: index + 1 }))
    .filter(({ device }) => all || device.role !== "other");
  const hidden = result.shutdownOrder.length - shown.length;
  const smmus = result.shutdownOrder.filter(({ role }) => role === "smmu").length;
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "s"}`;
  const head = `${board}: ${count(result.shutdownOrder.length, "device")}, ${count(smmus, "SMMU")}, ${count(result.clients.length, "client")}`;
  const lines = [
    ...wrap(head, WIDTH),
    `fw_devlink=${options.fwDevlink}, fw_devlink.strict=${options.strict ? 1 : 0}; drivers of Linux ${DRIVER_TABLE_LINUX}`,
    ...(result.modules.length > 0 ? wrap(`modules, as they load: ${result.modules.join(", ")}`, WIDTH) : []),
    "",
    paint("bold", "Shutdown, first to last"),
    paint("dim", `       ${"device".padEnd(NAME)} ${"driver".padEnd(DRIVER)} hook`),
    ...shown.map(({ device, place }) => line(device, place, result)),
    ...(hidden > 0 ? [paint("dim", `       and ${count(hidden, "other device")}; --all shows them`)] : []),
    "",
  ];
  const atRisk = result.clients.filter(({ risks }) => risks.length > 0);
  const { unknown } = result;
  const standing = result.clients.filter(({ assumed, known }) => assumed && !known).map(({ name }) => name);
  if (atRisk.length > 0) lines.push(paint("bold", "At risk"));
  else if (unknown.length === 0)
    lines.push(paint("bold", standing.length === 0 ? "No client is at risk" : "No client is at risk by its place"));
  for (const client of atRisk) lines.push(...paragraph(risk(client), "  "));
  if (unknown.length > 0) {
    const title = `Unknown: ${count(unknown.length, "client")}, whose hook is not known${atRisk.length > 0 ? "" : "; no other is at risk"}`;
    lines.push(paint("bold", title), ...paragraph(`${unknown.join(", ")}: no driver of the table takes what these are`, "  "));
  }
  const notes: string[] = [];
  if (standing.length > 0)
    notes.push(
      `The tree names no PCI function; ${standing.join(", ")} stands for any. Whether its driver has a shutdown hook is not known.`,
    );
  for (const { name, reason } of result.deferred) notes.push(`Deferred probe pending: ${name}: ${reason ?? "reason unknown"}.`);
  const list = (names: readonly string[], what: string): string =>
    all || names.length <= FEW ? names.join(", ") : `${names.length} ${what}; --all names them`;
  if (result.assumedDrivers.length > 0)
    notes.push(`Assumed to have built-in drivers: ${list(result.assumedDrivers, "kinds of supplier")}.`);
  if (result.withoutDevice.length > 0)
    notes.push(`Behind an SMMU, and no device when booting is over: ${list(result.withoutDevice, "nodes")}.`);
  for (const note of notes) lines.push("", ...wrap(note, WIDTH));
  return `${lines.join("\n")}\n`;
}

/** The document `quiesce/order@1`. */
export function orderDocument(board: string, options: OrderOptions, result: OrderResult): OrderDocument {
  return { schema: "quiesce/order@1", board, linux: DRIVER_TABLE_LINUX, fwDevlink: options.fwDevlink, strict: options.strict, ...result };
}
