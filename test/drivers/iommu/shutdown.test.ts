// SPDX-License-Identifier: GPL-2.0-only
/** The variants of the SMMU driver's shutdown hook: which registers and entries each touches, and what devices meet then. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { ArmSmmuDevice, type ArmSmmuShutdown } from "../../../src/drivers/index.ts";
import { createSmmuHost, DmaStatus, type DmaEvents, profiles, Smmu, SmmuDmaPort, type SmmuEvents } from "../../../src/hw/index.ts";
import { DMA_FROM_DEVICE, dma_map_single, KernelBuffer } from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { type FakeSmmu, fakeSmmu } from "./fake-smmu.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, type MachineOptions } from "./machine.ts";

const OTHER_SID = 0x20;

interface Faked {
  readonly machine: Machine;
  readonly fake: FakeSmmu;
}

/** Boots, then runs the hook; the fake has recorded what the hook did. */
function shutDown(shutdown: ArmSmmuShutdown, options: Partial<MachineOptions> = {}): Faked {
  let fake: FakeSmmu | undefined;
  const machine = new Machine({ ...options, driver: { shutdown }, smmu: fakeSmmu((made) => (fake = made)) }).boot();
  fake!.forget();
  const dev = machine.smmuDevice;
  machine.run(dev.driver!.shutdown!(dev));
  return { machine, fake: fake! };
}

function driverData(machine: Machine): ArmSmmuDevice {
  const data = machine.smmuDevice.drvdata;
  if (!(data instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  return data;
}

/** The first word of the STE of a StreamID below 256. */
const ste0 = (machine: Machine, sid: number): bigint =>
  driverData(machine)
    .strtab.l2!.get(0)!
    .get64(64 * sid);
const registers = (fake: FakeSmmu): string[] => fake.writes.filter((write) => !write.startsWith("CMDQ_PROD"));

describe("what the hook writes", () => {
  test("none: there is no hook", () => {
    const machine = new Machine({ driver: { shutdown: "none" }, smmu: fakeSmmu(() => {}) }).boot();
    expect(machine.smmuDevice.driver!.shutdown).toBeUndefined();
  });

  test("bypass, Linux 6.2 and later: CR0 and nothing else", () => {
    const { fake } = shutDown("bypass");
    expect(fake.writes).toEqual(["CR0=0"]);
    expect(fake.commands).toEqual([]);
  });

  test("abort: GBPA.ABORT first, then CR0", () => {
    expect(shutDown("abort").fake.writes).toEqual(["GBPA=80100000", "CR0=0"]);
  });

  test("gbpa-bypass: GBPA.ABORT is cleared, then CR0", () => {
    const { fake } = shutDown("gbpa-bypass");
    expect(fake.writes).toEqual(["GBPA=80000000", "CR0=0"]);
    expect(fake.reg(R.ARM_SMMU_GBPA) & R.GBPA_ABORT).toBe(0);
  });

  test("remove, Linux 6.1: the devices are released, their streams abort, then CR0", () => {
    const { machine, fake } = shutDown("remove");
    expect(machine.client.iommu_group).toBeNull();
    expect(machine.client.driver).not.toBeNull();
    expect(ste0(machine, CLIENT_SID)).toBe(1n);
    expect(registers(fake)).toEqual(["CR0=0"]);
    expect(fake.opcodes).toContain(R.CMDQ_OP_CFGI_STE);
  });

  test("audit: no register; every STE loses V and nothing else, and one CFGI_ALL makes it known", () => {
    const { machine, fake } = shutDown("audit");
    expect(registers(fake)).toEqual([]);
    expect(fake.opcodes).toEqual([R.CMDQ_OP_CFGI_ALL, R.CMDQ_OP_CMD_SYNC]);
    for (let sid = 0; sid < R.STRTAB_NUM_L2_STES; sid++) expect(ste0(machine, sid) & R.STRTAB_STE_0_V).toBe(0n);
    expect(ste0(machine, CLIENT_SID)).not.toBe(0n);
  });

  test("blocked: no register; the STE of each master becomes an abort", () => {
    const { machine, fake } = shutDown("blocked", { otherSids: [OTHER_SID] });
    expect(registers(fake)).toEqual([]);
    expect(ste0(machine, CLIENT_SID)).toBe(1n);
    expect(ste0(machine, OTHER_SID)).toBe(1n);
  });

  test("blocked: a device with a 1:1 mapping of the firmware is left as it is", () => {
    let fake: FakeSmmu | undefined;
    const machine = new Machine({ driver: { shutdown: "blocked" }, smmu: fakeSmmu((made) => (fake = made)) }).boot();
    machine.client.iommu!.require_direct = true;
    const before = ste0(machine, CLIENT_SID);
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    expect(ste0(machine, CLIENT_SID)).toBe(before);
    expect(fake!.writes.some((write) => write === "CR0=0")).toBe(true);
  });

  test("leave-on: interrupts and the event queue end, translation and the command queue stay", () => {
    expect(shutDown("leave-on").fake.writes).toEqual(["IRQ_CTRL=0", "CR0=9"]);
  });
});

describe("remove, under a driver that stays bound", () => {
  test("the next mapping of the device is a NULL dereference, as it was in 6.1", () => {
    const { machine } = shutDown("remove");
    const buffer = KernelBuffer.alloc(machine.kernel, 0x1000, "client")!;
    let task: { readonly state: string } | undefined;
    machine.sim.after(1, () => {
      task = machine.kernel.spawn(
        "xmit",
        (function* () {
          dma_map_single(machine.client, buffer.pa, 0x1000, DMA_FROM_DEVICE);
        })(),
      );
    });
    machine.idle(1000);
    expect(task!.state).not.toBe("done");
    expect(machine.kernel.oopses.map(({ message }) => message)).toEqual([expect.stringContaining("NULL pointer dereference")]);
  });

  test("a device without a driver is released like any other", () => {
    let fake: FakeSmmu | undefined;
    const machine = new Machine({ driver: { shutdown: "remove" }, smmu: fakeSmmu((made) => (fake = made)) }).boot();
    machine.client.driver = null;
    machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
    expect(machine.kernel.iommu.released_while_bound.size).toBe(0);
    expect(fake!.reg(R.ARM_SMMU_CR0)).toBe(0);
  });
});

describe("what a device meets after the hook, on the hardware model", () => {
  interface Rig {
    readonly machine: Machine;
    readonly smmu: Smmu;
    readonly client: SmmuDmaPort;
    readonly stranger: SmmuDmaPort;
    readonly events: string[];
    readonly dma: number;
  }

  function rig(shutdown: ArmSmmuShutdown): Rig {
    let smmu: Smmu | undefined;
    const trace = new Trace<SmmuEvents>();
    const events: string[] = [];
    trace.on("smmu.event", ({ data }) => events.push(`${data.text.split(/[\s:,(]/, 1)[0]}${data.recorded ? "" : " lost"}`));
    const machine = new Machine({
      driver: { shutdown },
      smmu: ({ sim, bus, controller }) => {
        const pulse = (line: string): void => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ);
        smmu = new Smmu(profiles["linux-typical"]!, createSmmuHost({ simulation: sim, bus, trace, pulse }), { trace, detector: true });
        return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
      },
    }).boot();
    const port = (streamId: number): SmmuDmaPort =>
      new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId, name: `sid ${streamId}`, trace: silentTrace<DmaEvents>() });
    const buffer = KernelBuffer.alloc(machine.kernel, 0x1000, "client")!;
    const dma = dma_map_single(machine.client, buffer.pa, 0x1000, DMA_FROM_DEVICE);
    return { machine, smmu: smmu!, client: port(CLIENT_SID), stranger: port(CLIENT_SID + 1), events, dma };
  }
  const hook = ({ machine }: Rig): void => machine.run(machine.smmuDevice.driver!.shutdown!(machine.smmuDevice));
  const write = (port: SmmuDmaPort, address: number): DmaStatus => port.write(address, Uint8Array.of(1, 2, 3, 4));
  const RAW = 0x8800_0000;

  test.each<[ArmSmmuShutdown, DmaStatus, DmaStatus]>([
    ["bypass", DmaStatus.abort, DmaStatus.ok],
    ["gbpa-bypass", DmaStatus.abort, DmaStatus.ok],
    ["remove", DmaStatus.abort, DmaStatus.ok],
    ["abort", DmaStatus.abort, DmaStatus.abort],
    ["audit", DmaStatus.abort, DmaStatus.abort],
    ["blocked", DmaStatus.abort, DmaStatus.abort],
    ["leave-on", DmaStatus.ok, DmaStatus.abort],
  ])("%s: the mapped address and a raw one", (shutdown, mapped, raw) => {
    const setup = rig(shutdown);
    expect(write(setup.client, setup.dma)).toBe(DmaStatus.ok);
    hook(setup);
    // An IOVA is no RAM of this machine: untranslated it reaches nothing.
    expect(write(setup.client, setup.dma)).toBe(mapped);
    expect(write(setup.client, RAW)).toBe(raw);
  });

  test.each<[ArmSmmuShutdown, string[]]>([
    ["abort", []],
    ["blocked", []],
    ["audit", ["C_BAD_STE", "C_BAD_STE"]],
    ["leave-on", ["F_TRANSLATION lost"]],
  ])("%s: what is recorded of a refused access of the client and of a stream that nobody owns", (shutdown, recorded) => {
    const setup = rig(shutdown);
    hook(setup);
    setup.events.length = 0;
    write(setup.client, RAW);
    write(setup.stranger, RAW);
    expect(setup.events).toEqual(recorded);
  });

  test("audit: the log names each stream that came while the hook listened, with a count", () => {
    const setup = rig("audit");
    for (const ms of [10, 20, 30]) setup.machine.sim.after(ms * 1_000_000, () => void write(setup.client, setup.dma));
    hook(setup);
    const lines = setup.machine.log.filter((line) => line.includes("audit: "));
    expect(lines).toHaveLength(3);
    expect(lines[1]).toContain("audit: DMA after shutdown from 1000.client sid: 0x10");
    expect(lines[2]).toContain("audit: 3 transactions in 50 ms from 1000.client sid: 0x10");
  });

  test("audit: silence is said too", () => {
    const setup = rig("audit");
    hook(setup);
    expect(setup.machine.log.at(-1)).toContain("audit: no DMA in 50 ms");
  });
});
