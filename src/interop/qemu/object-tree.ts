// SPDX-License-Identifier: MIT
/**
 * The tree of objects that QMP's qom-list and qom-get walk: the machine's devices at their paths, and the containers above
 * them where QEMU has such.
 */
import type { Machine, NamedDevice } from "./machine.ts";

export type PropertyValue = string | number | boolean;

export interface TreeObject {
  readonly path: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, PropertyValue>>;
}

/** A member of an object, as qom-list tells it. */
export interface Member {
  readonly name: string;
  readonly type: string;
}

/** Properties whose value is the path of another object. */
const LINKS: Readonly<Record<string, string>> = { "primary-bus": "link<PCI>", parent_bus: "link<bus>" };

const CONTAINERS: readonly string[] = [
  "/",
  "/objects",
  "/chardevs",
  "/machine/peripheral",
  "/machine/peripheral-anon",
  "/machine/unattached",
];

/** "machine//x/" is "/machine/x". */
function canonical(path: string): string {
  return `/${path.split("/").filter(Boolean).join("/")}`;
}

function memberType(name: string, value: PropertyValue): string {
  return LINKS[name] ?? (typeof value === "boolean" ? "bool" : typeof value === "number" ? "uint64" : "string");
}

export class ObjectTree {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** All objects: containers, the machine, its devices. */
  #objects(): TreeObject[] {
    const { devices, type } = this.#machine;
    const iommu = devices.some((device) => device.type === "arm-smmuv3") ? "smmuv3" : "none";
    const machine = { path: "/machine", type, properties: type === "none-machine" ? {} : { iommu } };
    return [machine, ...CONTAINERS.map((path) => ({ path, type: "container", properties: {} })), ...devices];
  }

  /** The object at a path, or the device that a path only mentions; undefined if there is none. */
  find(path: string): TreeObject | NamedDevice | undefined {
    const exact = canonical(path);
    return this.#objects().find((object) => object.path === exact) ?? this.#machine.find(path);
  }

  /** Properties and children of an object. */
  members(object: TreeObject): Member[] {
    const below = object.path === "/" ? "/" : `${object.path}/`;
    const children = this.#objects().filter(
      ({ path }) => path !== object.path && path.startsWith(below) && !path.slice(below.length).includes("/"),
    );
    return [
      { name: "type", type: "string" },
      ...Object.entries(object.properties).map(([name, value]) => ({ name, type: memberType(name, value) })),
      ...children.map(({ path, type }) => ({ name: path.slice(below.length), type: `child<${type}>` })),
    ];
  }

  /** The value of a property, or the path of a child; undefined if there is none of that name. */
  property(object: TreeObject, name: string): PropertyValue | undefined {
    if (name === "type") return object.type;
    if (Object.hasOwn(object.properties, name)) return object.properties[name];
    const child = canonical(`${object.path}/${name}`);
    return this.#objects().some(({ path }) => path === child && !name.includes("/")) ? child : undefined;
  }
}
