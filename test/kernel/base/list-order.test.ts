// SPDX-License-Identifier: GPL-2.0-only
/** The device list: who joins where, and what moves. */
import { describe, expect, test } from "vitest";
import {
  DL_FLAG,
  device_add,
  device_del,
  device_create,
  device_destroy,
  device_link_add,
  device_move,
  device_shutdown,
  driver_register,
  EINVAL,
  EPROBE_DEFER,
  LinkedList,
  ListNode,
  net_class,
} from "../../../src/kernel/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

/** Devices a, b, c … added in this order. */
function added(...names: string[]): ReturnType<typeof makeTestKernel> & { dev: (name: string) => ReturnType<typeof testDevice> } {
  const machine = makeTestKernel();
  const devices = new Map(names.map((name) => [name, testDevice(machine.kernel, name)]));
  for (const dev of devices.values()) expect(machine.run(device_add(dev))).toBe(0);
  return { ...machine, dev: (name) => devices.get(name)! };
}

const order = (machine: ReturnType<typeof makeTestKernel>): string[] =>
  machine.kernel.base.deviceNames().filter((name) => !name.includes("--"));

describe("devices_kset", () => {
  test("device_add puts the device at the tail of devices_kset", () => {
    expect(order(added("a", "b", "c"))).toEqual(["a", "b", "c"]);
  });

  test("device_del takes the device off devices_kset", () => {
    const machine = added("a", "b", "c");
    machine.run(device_del(machine.dev("b")));
    expect(order(machine)).toEqual(["a", "c"]);
  });

  test("device_add of a registered device is refused and moves nothing", () => {
    const machine = added("a", "b");
    expect(machine.run(device_add(machine.dev("a")))).toBeLessThan(0);
    expect(order(machine)).toEqual(["a", "b"]);
  });

  test("a successful probe alone moves nothing (the 4.3 behaviour was reverted)", () => {
    const machine = makeTestKernel();
    const bus = testBus();
    machine.run(device_add(testDevice(machine.kernel, "a1", bus)));
    machine.run(device_add(testDevice(machine.kernel, "b1", bus)));
    machine.run(driver_register(machine.kernel, loggingDriver("a", bus, [])));
    expect(order(machine)).toEqual(["a1", "b1"]);
  });
});

describe("device_link_add", () => {
  test("moves the consumer behind the supplier, to the tail", () => {
    const machine = added("consumer", "supplier", "other");
    device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0);
    expect(order(machine)).toEqual(["supplier", "other", "consumer"]);
  });

  test("moves the consumer even if it stood behind the supplier already", () => {
    const machine = added("supplier", "consumer", "other");
    device_link_add(machine.dev("consumer"), machine.dev("supplier"), DL_FLAG.STATELESS);
    expect(order(machine)).toEqual(["supplier", "other", "consumer"]);
  });

  test("moves the consumer and its children behind, children after it", () => {
    const machine = makeTestKernel();
    const consumer = testDevice(machine.kernel, "consumer");
    const devices = [consumer, testDevice(machine.kernel, "child", null, consumer), testDevice(machine.kernel, "supplier")];
    for (const dev of devices) machine.run(device_add(dev));
    device_link_add(consumer, devices[2]!, 0);
    expect(order(machine)).toEqual(["supplier", "consumer", "child"]);
  });

  test("moves the consumer's own consumers behind it", () => {
    const machine = added("leaf", "middle", "root");
    device_link_add(machine.dev("leaf"), machine.dev("middle"), 0);
    expect(order(machine)).toEqual(["middle", "root", "leaf"]);
    device_link_add(machine.dev("middle"), machine.dev("root"), 0);
    expect(order(machine)).toEqual(["root", "middle", "leaf"]);
  });

  test("an existing link is not reordered again", () => {
    const machine = added("supplier", "consumer", "other");
    const first = device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0);
    machine.run(device_add(testDevice(machine.kernel, "late")));
    expect(device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0)).toBe(first);
    expect(order(machine)).toEqual(["supplier", "other", "consumer", "late"]);
  });

  test("a SYNC_STATE_ONLY link moves nothing until it becomes a full link", () => {
    const machine = added("consumer", "supplier");
    device_link_add(machine.dev("consumer"), machine.dev("supplier"), DL_FLAG.SYNC_STATE_ONLY);
    expect(order(machine)).toEqual(["consumer", "supplier"]);
    device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0);
    expect(order(machine)).toEqual(["supplier", "consumer"]);
  });

  test("a SYNC_STATE_ONLY consumer is not dragged along", () => {
    const machine = added("loose", "consumer", "supplier");
    device_link_add(machine.dev("loose"), machine.dev("consumer"), DL_FLAG.SYNC_STATE_ONLY);
    device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0);
    expect(order(machine)).toEqual(["loose", "supplier", "consumer"]);
  });

  test("the link itself is a device in the list", () => {
    const machine = added("consumer", "supplier");
    const link = device_link_add(machine.dev("consumer"), machine.dev("supplier"), 0);
    expect(machine.kernel.base.deviceNames()).toEqual(["supplier", "no-bus:supplier--no-bus:consumer", "consumer"]);
    expect(link?.link_dev.dev_class?.name).toBe("devlink");
  });
});

describe("deferred probe", () => {
  test("the worker moves the device to the tail before probing", () => {
    const machine = makeTestKernel();
    const bus = testBus();
    let supplierReady = false;
    const seen: string[][] = [];
    const client = loggingDriver("client", bus, [], {
      probe: () => {
        seen.push(order(machine));
        return supplierReady ? 0 : -EPROBE_DEFER;
      },
    });
    machine.kernel.base.deferred.enabled = true;
    for (const name of ["client", "supplier", "other"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
    machine.run(driver_register(machine.kernel, client));
    supplierReady = true;
    machine.run(driver_register(machine.kernel, loggingDriver("supplier", bus, [])));
    machine.idle(1000);
    expect(seen).toEqual([
      ["client", "supplier", "other"],
      ["supplier", "other", "client"],
    ]);
  });
});

describe("ksetPolicy probe-4.3", () => {
  const policy = { cmdline: { ksetPolicy: "probe-4.3" } } as const;

  test("each probe moves its device to the tail, before the driver's probe runs", () => {
    const machine = makeTestKernel(policy);
    const bus = testBus();
    for (const name of ["a1", "b1", "c1"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
    const seen: string[][] = [];
    const probe = (): number => {
      seen.push(order(machine));
      return 0;
    };
    machine.run(driver_register(machine.kernel, loggingDriver("a", bus, [], { probe })));
    expect(seen).toEqual([["b1", "c1", "a1"]]);
  });

  test("the device moves alone: a parent that is probed after its children ends up behind them, so it is shut down first", () => {
    const machine = makeTestKernel(policy);
    const bus = testBus();
    const parent = testDevice(machine.kernel, "parent", bus);
    for (const dev of [parent, testDevice(machine.kernel, "child", bus, parent)]) machine.run(device_add(dev));
    for (const name of ["child", "parent"]) machine.run(driver_register(machine.kernel, loggingDriver(name, bus, [])));
    expect(order(machine)).toEqual(["child", "parent"]);
  });

  test("a probe that fails has moved its device all the same", () => {
    const machine = makeTestKernel(policy);
    const bus = testBus();
    for (const name of ["a1", "b1"]) machine.run(device_add(testDevice(machine.kernel, name, bus)));
    machine.run(driver_register(machine.kernel, loggingDriver("a", bus, [], { probe: () => -EPROBE_DEFER })));
    expect(order(machine)).toEqual(["b1", "a1"]);
  });
});

describe("device_move", () => {
  test("gives the device another parent", () => {
    const machine = added("a", "b", "c");
    expect(device_move(machine.dev("c"), machine.dev("a"), "none")).toBe(0);
    expect([machine.dev("c").parent?.name, [...machine.dev("a").children].length]).toEqual(["a", 1]);
    expect(device_move(machine.dev("c"), machine.dev("b"), "none")).toBe(0);
    expect(machine.dev("a").children.size).toBe(0);
    expect(order(machine)).toEqual(["a", "b", "c"]);
  });

  test.each([
    ["device-after-parent", ["a", "parent", "dev", "b"]],
    ["parent-before-device", ["parent", "dev", "a", "b"]],
    ["device-last", ["a", "parent", "b", "dev"]],
  ] as const)("%s moves the list so", (how, expected) => {
    const machine = added("dev", "a", "parent", "b");
    expect(device_move(machine.dev("dev"), machine.dev("parent"), how)).toBe(0);
    expect(order(machine)).toEqual(expected);
  });

  test("a device that is not registered cannot be moved", () => {
    const machine = added("a");
    expect(device_move(testDevice(machine.kernel, "x"), machine.dev("a"), "none")).toBe(-EINVAL);
  });
});

describe("class devices", () => {
  test("device_create puts one at the tail, below its parent, without a bus", () => {
    const machine = added("nic", "other");
    const dev = machine.run(device_create(net_class, machine.dev("nic"), "eth0"));
    expect(order(machine)).toEqual(["nic", "other", "eth0"]);
    expect([dev.parent?.name, dev.bus, dev.dev_class?.name]).toEqual(["nic", null, "net"]);
  });

  test("it moves with its parent", () => {
    const machine = added("nic", "smmu");
    machine.run(device_create(net_class, machine.dev("nic"), "eth0"));
    device_link_add(machine.dev("nic"), machine.dev("smmu"), 0);
    expect(order(machine)).toEqual(["smmu", "nic", "eth0"]);
  });

  test("shutdown passes it before its parent, without a hook", () => {
    const machine = added("nic");
    machine.run(device_create(net_class, machine.dev("nic"), "eth0"));
    machine.run(device_shutdown(machine.kernel));
    const passed = machine.of("kernel.shutdown").flatMap(({ device, hook, phase }) => (phase === "begin" ? [[device, hook]] : []));
    expect(passed).toEqual([
      ["eth0", "none"],
      ["nic", "none"],
    ]);
  });

  test("device_destroy takes the parent's devices of that class away", () => {
    const machine = added("nic");
    machine.run(device_create(net_class, machine.dev("nic"), "eth0"));
    machine.run(device_destroy(net_class, machine.dev("nic")));
    expect(order(machine)).toEqual(["nic"]);
  });
});

describe("list", () => {
  test("an entry cannot be in two lists", () => {
    const node = new ListNode("x");
    new LinkedList<string>().addTail(node);
    expect(() => new LinkedList<string>().addTail(node)).toThrow("list_add corruption");
  });

  test("splicing appends the other list in order and empties it", () => {
    const [a, b] = [new LinkedList<string>(), new LinkedList<string>()];
    a.addTail(new ListNode("1"));
    b.addTail(new ListNode("2"));
    b.addTail(new ListNode("3"));
    a.spliceTail(b);
    expect([a.toArray(), b.toArray()]).toEqual([["1", "2", "3"], []]);
  });
});
