// SPDX-License-Identifier: MIT
/** The monitor: as much QMP as libqtest and small scripts use. */
import { describe, expect, test } from "vitest";
import { Machine, QmpServer } from "../../../src/interop/index.ts";
import { machineOf } from "./client.ts";
import { BAR0, SMMU } from "./smmuv3-sequence.ts";

class Monitor {
  readonly machine: Machine;
  readonly sent: unknown[] = [];
  quits = 0;
  readonly #server: QmpServer;

  constructor(...args: string[]) {
    this.machine = new Machine(machineOf(...args));
    this.#server = new QmpServer(
      this.machine,
      (line) => this.sent.push(JSON.parse(line)),
      () => this.quits++,
    );
    this.#server.greet();
  }

  /** Everything that comes after a line. */
  say(line: string): unknown[] {
    const before = this.sent.length;
    this.#server.receive(`${line}\n`);
    return this.sent.slice(before);
  }

  execute(name: string, args?: object): unknown[] {
    return this.say(JSON.stringify(args ? { execute: name, arguments: args } : { execute: name }));
  }
}

function negotiated(...args: string[]): Monitor {
  const monitor = new Monitor(...args);
  monitor.execute("qmp_capabilities");
  return monitor;
}

const error = (name: string): unknown => ({ error: { class: name, desc: expect.any(String) } });

describe("negotiation", () => {
  test("the greeting is one object with the version", () => {
    const version = { qemu: { micro: 50, minor: 1, major: 11 }, package: expect.any(String) };
    expect(new Monitor().sent).toEqual([{ QMP: { version, capabilities: [] } }]);
  });

  test("before qmp_capabilities nothing else is known; a second one is not either", () => {
    const monitor = new Monitor();
    expect(monitor.execute("query-status")).toEqual([error("CommandNotFound")]);
    expect(monitor.execute("qmp_capabilities")).toEqual([{ return: {} }]);
    expect(monitor.execute("qmp_capabilities")).toEqual([error("CommandNotFound")]);
  });

  test("id is echoed, in errors too", () => {
    const monitor = negotiated();
    expect(monitor.say('{"execute": "query-status", "id": {"a": 1}}')).toEqual([
      { return: { running: true, status: "running" }, id: { a: 1 } },
    ]);
    expect(monitor.say('{"execute": "nonsense", "id": 7}')).toEqual([{ ...(error("CommandNotFound") as object), id: 7 }]);
  });

  test.each(["{", "7", "[]", "{}", '{"execute": 3}', '{"execute": "qom-get", "arguments": 3}', '{"execute": "qom-get"}'])(
    "%s is a GenericError",
    (line) => {
      expect(negotiated().say(line)).toEqual([error("GenericError")]);
    },
  );

  test("empty lines are nothing; requests may be cut anywhere", () => {
    const monitor = negotiated();
    expect(monitor.say("\r")).toEqual([]);
    expect(monitor.say('{"execute": "query-version"}\r\n{"execute": "query-version"}')).toHaveLength(2);
  });
});

describe("queries", () => {
  test("query-machines knows virt, which libqtest looks for by name or alias", () => {
    expect(negotiated("-machine", "none").execute("query-machines")).toEqual([
      { return: expect.arrayContaining([expect.objectContaining({ name: "virt-11.2", alias: "virt" })]) },
    ]);
  });

  test("query-machines: each machine has every member that QEMU's schema requires", () => {
    const required = ["name", "cpu-max", "hotpluggable-cpus", "numa-mem-supported", "deprecated", "acpi"];
    expect(negotiated("-machine", "none").execute("query-machines")).toEqual([
      {
        return: [expect.objectContaining({ name: "virt-11.2", acpi: true }), expect.objectContaining({ name: "none", acpi: false })],
      },
    ]);
    const [answer] = negotiated("-machine", "none").execute("query-machines");
    expect(answer).toHaveProperty("return");
    for (const machine of (answer as { return: object[] }).return) expect(Object.keys(machine)).toEqual(expect.arrayContaining(required));
  });

  test("qom-list-types tells the devices, among them arm-gicv3, without which libqtest skips", () => {
    const [answer] = negotiated("-machine", "none").execute("qom-list-types", { abstract: false, implements: "device" }) as [
      { return: { name: string }[] },
    ];
    const names = answer.return.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["arm-gicv3", "arm-smmuv3", "iommu-testdev", "edu"]));
    expect(names).not.toContain("virt-machine");
  });

  test("properties of the SMMU", () => {
    const monitor = negotiated("-machine", "virt,iommu=smmuv3,x-smmu-profile=tiny");
    const path = "/machine/smmuv3";
    expect(monitor.execute("qom-get", { path, property: "type" })).toEqual([{ return: "arm-smmuv3" }]);
    expect(monitor.execute("qom-get", { path, property: "stage" })).toEqual([{ return: "1" }]);
    expect(monitor.execute("qom-get", { path, property: "x-smmu-profile" })).toEqual([{ return: "tiny" }]);
    expect(monitor.execute("qom-get", { path, property: "colour" })).toEqual([error("GenericError")]);
    expect(monitor.execute("qom-get", { path: "/machine/none", property: "type" })).toEqual([error("DeviceNotFound")]);
  });

  test("properties that clients of QEMU ask for", () => {
    const monitor = negotiated("-machine", "virt,iommu=smmuv3,x-smmu-profile=qemu", "-device", "edu");
    const get = (path: string, property: string): unknown =>
      (monitor.execute("qom-get", { path, property })[0] as { return?: unknown }).return;
    expect(get("/machine/smmuv3", "primary-bus")).toBe("/machine/gpex/pcie.0");
    expect(get("/machine/smmuv3", "accel")).toBe(false);
    expect(get("/machine/smmuv3", "ssidsize")).toBe(0);
    expect(get("/machine/smmuv3", "realized")).toBe(true);
    expect(get("/machine", "type")).toBe("virt-machine");
    expect(get("/machine", "iommu")).toBe("smmuv3");
    expect(get("/machine/peripheral-anon/device[0]", "dma_mask")).toBe(0xfff_ffff);
    expect(get("/machine/peripheral-anon/device[0]", "parent_bus")).toBe("/machine/gpex/pcie.0");
    expect(get("/machine", "peripheral-anon")).toBe("/machine/peripheral-anon");
  });

  const members = (path: string): { name: string; type: string }[] => {
    const [answer] = negotiated("-device", "edu").execute("qom-list", { path }) as [{ return: { name: string; type: string }[] }];
    return answer.return;
  };

  test("qom-list walks the tree from the root to a device", () => {
    expect(members("/")).toEqual(expect.arrayContaining([{ name: "machine", type: "child<virt-machine>" }]));
    expect(members("/machine")).toEqual(
      expect.arrayContaining([
        { name: "smmuv3", type: "child<arm-smmuv3>" },
        { name: "peripheral-anon", type: "child<container>" },
        { name: "unattached", type: "child<container>" },
        { name: "iommu", type: "string" },
      ]),
    );
    expect(members("/machine/peripheral-anon")).toEqual([
      { name: "type", type: "string" },
      { name: "device[0]", type: "child<edu>" },
    ]);
    expect(members("/machine/peripheral-anon/device[0]")).toEqual(expect.arrayContaining([{ name: "parent_bus", type: "link<bus>" }]));
    expect(members("/machine/smmuv3")).toEqual(expect.arrayContaining([{ name: "primary-bus", type: "link<PCI>" }]));
    expect(members("/machine/peripheral")).toEqual([{ name: "type", type: "string" }]);
    expect(members("machine/peripheral-anon/")).toEqual(members("/machine/peripheral-anon"));
  });

  test("a path that leads nowhere is no device", () => {
    for (const path of ["/nowhere", "/machine/peripheral-anon/device[7]", "/machine/x/y"])
      expect(negotiated().execute("qom-list", { path })).toEqual([error("DeviceNotFound")]);
  });
});

describe("events", () => {
  test("system_reset answers, then tells RESET; registers are reset, RAM keeps its contents", () => {
    const monitor = negotiated("-device", "iommu-testdev");
    const { memory } = monitor.machine;
    const write = (address: number, byte: number): void => memory.write(BigInt(address), Uint8Array.of(byte, 0, 0, 0));
    const read = (address: number): number => {
      const bytes = new Uint8Array(4);
      memory.read(BigInt(address), bytes);
      return bytes[0]!;
    };
    write(0x4000_0000, 0x77);
    write(SMMU + 0x20, 0x8);
    expect(read(SMMU + 0x24)).toBe(8);
    expect(monitor.execute("system_reset")).toEqual([
      { return: {} },
      {
        event: "RESET",
        timestamp: { seconds: 0, microseconds: 0 },
        data: { guest: false, reason: "host-qmp-system-reset" },
      },
    ]);
    expect(read(SMMU + 0x24)).toBe(0);
    expect(read(BAR0)).toBe(0);
    expect(read(0x4000_0000)).toBe(0x77);
  });

  test("quit tells SHUTDOWN, answers, and ends", () => {
    const monitor = negotiated();
    expect(monitor.execute("quit")).toEqual([
      expect.objectContaining({ event: "SHUTDOWN", data: { guest: false, reason: "host-qmp-quit" } }),
      { return: {} },
    ]);
    expect(monitor.quits).toBe(1);
  });
});
