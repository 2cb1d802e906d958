// SPDX-License-Identifier: MIT
/** As much of the QEMU Machine Protocol as a test client asks for: one JSON object to the line. */
import { LineSplitter } from "./lines.ts";
import type { Machine } from "./machine.ts";
import { ObjectTree, type TreeObject } from "./object-tree.ts";

/** The QEMU whose behaviour this face has. */
const VERSION = { qemu: { micro: 50, minor: 1, major: 11 }, package: "quiesce" } as const;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** A request that ends in an error reply. */
class QmpError extends Error {
  readonly errorClass: "GenericError" | "CommandNotFound" | "DeviceNotFound";

  constructor(errorClass: QmpError["errorClass"], message: string) {
    super(message);
    this.errorClass = errorClass;
  }
}

/** What a command does besides its return value, once that has been sent. */
interface Answer {
  readonly value: Json;
  readonly before?: JsonObject;
  readonly after?: JsonObject;
  readonly quit?: boolean;
}

/**
 * The types that `qom-list-types` tells, each with what it implements. arm-gicv3 is no part of the machine: clients ask for it
 * before they use `gic-version=3`, and nothing that they do then reaches it.
 */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  "arm-gicv3": ["sys-bus-device", "device"],
  "arm-smmuv3": ["arm-smmu", "sys-bus-device", "device"],
  "smmuv3-test-engine": ["sys-bus-device", "device"],
  "gpex-pcihost": ["pci-host-bridge", "sys-bus-device", "device"],
  "iommu-testdev": ["pci-device", "device"],
  edu: ["pci-device", "device"],
  "virt-machine": ["machine"],
  "none-machine": ["machine"],
};

export class QmpServer {
  readonly #machine: Machine;
  readonly #tree: ObjectTree;
  readonly #send: (line: string) => void;
  readonly #quit: () => void;
  readonly #lines = new LineSplitter((line) => this.#line(line));
  #negotiated = false;

  /**
   * @param send takes each line for the client, without its end
   * @param quit called when the client has asked for the end and been answered
   */
  constructor(machine: Machine, send: (line: string) => void, quit: () => void) {
    this.#machine = machine;
    this.#tree = new ObjectTree(machine);
    this.#send = send;
    this.#quit = quit;
  }

  /** To be called once, when the client is there. */
  greet(): void {
    this.#put({ QMP: { version: VERSION, capabilities: [] } });
  }

  /** Takes the next piece of the client's stream. */
  receive(text: string): void {
    this.#lines.push(text);
  }

  #put(object: JsonObject): void {
    this.#send(JSON.stringify(object));
  }

  #line(line: string): void {
    if (line.trim() === "") return;
    let id: JsonObject = {};
    try {
      const request = parseRequest(line);
      if (request["id"] !== undefined) id = { id: request["id"] };
      const { value, before, after, quit } = this.#execute(request);
      if (before) this.#put(before);
      this.#put({ return: value, ...id });
      if (after) this.#put(after);
      if (quit) this.#quit();
    } catch (error) {
      if (!(error instanceof QmpError)) throw error;
      this.#put({ error: { class: error.errorClass, desc: error.message }, ...id });
    }
  }

  #execute(request: JsonObject): Answer {
    const name = request["execute"];
    if (typeof name !== "string") throw new QmpError("GenericError", "QMP input lacks member 'execute'");
    const given = request["arguments"] ?? {};
    if (!isObject(given)) throw new QmpError("GenericError", "QMP input member 'arguments' must be an object");
    if (name === "qmp_capabilities") return this.#negotiate();
    if (!this.#negotiated) throw new QmpError("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
    switch (name) {
      case "query-version":
        return { value: VERSION };
      case "query-status":
        return { value: { running: true, status: "running" } };
      case "query-machines":
        return { value: [machineInfo("virt-11.2", "virt"), machineInfo("none")] };
      case "qom-list-types":
        return { value: listTypes(given["implements"]) };
      case "qom-list":
        return { value: this.#list(text(given, "path")) };
      case "qom-get":
        return { value: this.#property(text(given, "path"), text(given, "property")) };
      case "system_reset":
        this.#machine.reset();
        return { value: {}, after: this.#event("RESET", "host-qmp-system-reset") };
      case "quit":
        return { value: {}, before: this.#event("SHUTDOWN", "host-qmp-quit"), quit: true };
      default:
        throw new QmpError("CommandNotFound", `The command ${name} has not been found`);
    }
  }

  #negotiate(): Answer {
    if (this.#negotiated) throw new QmpError("CommandNotFound", "Capabilities negotiation is already complete, command ignored");
    this.#negotiated = true;
    return { value: {} };
  }

  /** Time stamps are virtual. */
  #event(event: string, reason: string): JsonObject {
    const microseconds = Math.floor(this.#machine.simulation.now / 1000);
    const timestamp = { seconds: Math.floor(microseconds / 1e6), microseconds: microseconds % 1e6 };
    return { timestamp, event, data: { guest: false, reason } };
  }

  #object(path: string): TreeObject {
    const object = this.#tree.find(path);
    if (!object) throw new QmpError("DeviceNotFound", `Device '${path}' not found`);
    return object;
  }

  #property(path: string, property: string): Json {
    const object = this.#object(path);
    const value = this.#tree.property(object, property);
    if (value === undefined) throw new QmpError("GenericError", `Property '${object.type}.${property}' not found`);
    return value;
  }

  #list(path: string): Json {
    return this.#tree.members(this.#object(path)).map(({ name, type }) => ({ name, type }));
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseRequest(line: string): JsonObject {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    throw new QmpError("GenericError", "JSON parse error");
  }
  if (!isObject(request)) throw new QmpError("GenericError", "QMP input must be a JSON object");
  return request;
}

function text(given: JsonObject, name: string): string {
  const value = given[name];
  if (typeof value !== "string") throw new QmpError("GenericError", `Parameter '${name}' is missing`);
  return value;
}

function machineInfo(name: string, alias?: string): JsonObject {
  return {
    name,
    ...(alias === undefined ? {} : { alias }),
    "cpu-max": 1,
    "hotpluggable-cpus": false,
    "numa-mem-supported": false,
    deprecated: false,
    acpi: name !== "none",
  };
}

function listTypes(implemented: Json | undefined): Json {
  return Object.entries(TYPES)
    .filter(([name, parents]) => typeof implemented !== "string" || name === implemented || parents.includes(implemented))
    .map(([name, parents]) => ({ name, parent: parents[0]! }));
}
