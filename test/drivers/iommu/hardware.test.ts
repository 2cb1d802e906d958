// SPDX-License-Identifier: GPL-2.0-only
/** The driver on the hardware model: each profile comes up, translates, faults and shuts down as stated. */
import { describe, expect, test } from "vitest";
import * as R from "../../../src/drivers/iommu/arm-smmu-v3/arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_issue_cmd, arm_smmu_cmdq_issue_cmd_with_sync } from "../../../src/drivers/iommu/arm-smmu-v3/queues/cmdq.ts";
import { ArmSmmuDevice, type ArmSmmuV3Options } from "../../../src/drivers/index.ts";
import {
  createSmmuHost,
  DmaStatus,
  type DmaEvents,
  MsiFrame,
  profiles,
  Smmu,
  type SmmuConfig,
  SmmuDmaPort,
  type SmmuEvents,
} from "../../../src/hw/index.ts";
import {
  DMA_BIDIRECTIONAL,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  dma_map_single,
  dma_unmap_single,
  KernelBuffer,
  readl,
} from "../../../src/kernel/index.ts";
import { silentTrace, Trace } from "../../../src/sim/index.ts";
import { CLIENT_SID, EVTQ_IRQ, GERROR_IRQ, Machine, type MachineOptions, RAM_BASE } from "./machine.ts";

interface Rig {
  readonly machine: Machine;
  readonly smmu: Smmu;
  readonly port: SmmuDmaPort;
  readonly trace: Trace<SmmuEvents>;
}

const FRAME = { base: 0x2c1c_0000, first: 50, count: 8 };

function rig(config: SmmuConfig, options: Partial<MachineOptions> = {}, prepare: (smmu: Smmu) => void = () => {}): Rig {
  let smmu: Smmu | undefined;
  const trace = new Trace<SmmuEvents>();
  const machine = new Machine({
    coherent: config.coherent,
    ...options,
    smmu: ({ sim, bus, controller }) => {
      const host = createSmmuHost({
        simulation: sim,
        bus,
        trace,
        pulse: (line) => controller.raise(line === "eventq" ? EVTQ_IRQ : GERROR_IRQ),
      });
      if (options.frame)
        bus.addWindow({
          name: "v2m",
          base: FRAME.base,
          size: 0x1000,
          device: new MsiFrame({ interrupts: controller, first: FRAME.first, count: FRAME.count }),
        });
      smmu = new Smmu(config, host, { trace, detector: true });
      prepare(smmu);
      return { size: smmu.size, device: smmu, widths: smmu.widths, badWidth: smmu.badWidth };
    },
  });
  machine.boot();
  const port = new SmmuDmaPort({ smmu: smmu!, bus: machine.bus, streamId: CLIENT_SID, name: "client", trace: silentTrace<DmaEvents>() });
  return { machine, smmu: smmu!, port, trace };
}

/** A page of the client's with a mapping, as its driver would make it. */
function mapPage({ machine }: Rig, size = 0x1000): { readonly buffer: KernelBuffer; readonly dma: number } {
  const buffer = KernelBuffer.alloc(machine.kernel, size, "client");
  if (buffer === null) throw new Error("no memory");
  const dma = dma_map_single(machine.client, buffer.pa, size, DMA_BIDIRECTIONAL);
  expect(dma).not.toBe(DMA_MAPPING_ERROR);
  return { buffer, dma };
}

function driverData(machine: Machine): ArmSmmuDevice {
  const data = machine.smmuDevice.drvdata;
  if (!(data instanceof ArmSmmuDevice)) throw new Error(`not bound: ${machine.log.join(" | ")}`);
  return data;
}

const OK = DmaStatus.ok;
const ABORT = DmaStatus.abort;
const BYTES = Uint8Array.of(1, 2, 3, 4);
const read = (port: SmmuDmaPort, address: number): DmaStatus => port.read(address, new Uint8Array(4));

const S2_ONLY: SmmuConfig = { ...profiles["linux-typical"], name: "stage 2 only", stage1: false, had: false, hyp: false };
const CONFIGS: readonly SmmuConfig[] = [...Object.values(profiles), S2_ONLY];

describe.each(CONFIGS.map((config) => [config.name, config] as const))("profile %s", (_name, config) => {
  test("the probe succeeds and the SMMU translates", () => {
    const { machine, smmu } = rig(config);
    expect(driverData(machine)).toBeInstanceOf(ArmSmmuDevice);
    expect(smmu.registers.smmuEnabled()).toBe(true);
    expect(machine.log.filter((line) => /timeout|failed|error/i.test(line))).toEqual([]);
  });

  test("the device reaches a mapped page at its IOVA, and nothing else", () => {
    const setup = rig(config);
    const { buffer, dma } = mapPage(setup);
    expect(setup.port.write(dma + 8, BYTES)).toBe(OK);
    expect([...buffer.bytes(8, 4)]).toEqual([...BYTES]);
    expect(dma).not.toBe(buffer.pa);
    expect(read(setup.port, buffer.pa)).toBe(ABORT);
    expect(read(setup.port, dma + 0x1000)).toBe(ABORT);
  });

  test("after the unmap the address faults, and the event thread prints it", () => {
    const setup = rig(config);
    const { machine, port } = setup;
    const { dma } = mapPage(setup);
    expect(port.write(dma, BYTES)).toBe(OK);
    machine.run(dma_unmap_single(machine.client, dma, 0x1000, DMA_BIDIRECTIONAL));
    const before = machine.log.length;
    expect(port.write(dma, BYTES)).toBe(ABORT);
    machine.idle(1_000_000);
    const lines = machine.log.slice(before).map((line) => line.replace("arm-smmu-v3 2b400000.smmu: ", ""));
    expect(lines[0]).toBe("event 0x10 received:");
    expect(lines[5]).toContain(`event: F_TRANSLATION client: 1000.client sid: 0x10 ssid: 0 iova: 0x${dma.toString(16)}`);
  });

  test("no cached entry is used after its memory changed", () => {
    const setup = rig(config);
    const { machine, port, trace } = setup;
    const stale: unknown[] = [];
    trace.on("smmu.stale-use", ({ data }) => stale.push(data));
    for (let round = 0; round < 20; round++) {
      const { dma } = mapPage(setup, 0x4000);
      for (let offset = 0; offset < 0x4000; offset += 0x1000) expect(port.write(dma + offset, BYTES)).toBe(OK);
      machine.run(dma_unmap_single(machine.client, dma, 0x4000, DMA_BIDIRECTIONAL));
      expect(port.write(dma, BYTES)).toBe(ABORT);
    }
    expect(stale).toEqual([]);
  });
});

test("a read-only mapping refuses writes with a permission fault", () => {
  const setup = rig(profiles["linux-typical"]);
  const { machine, port } = setup;
  const buffer = KernelBuffer.alloc(machine.kernel, 0x1000, "client")!;
  const dma = dma_map_single(machine.client, buffer.pa, 0x1000, DMA_TO_DEVICE);
  expect(read(port, dma)).toBe(OK);
  expect(port.write(dma, BYTES)).toBe(ABORT);
  machine.idle(1_000_000);
  expect(machine.log.some((line) => line.includes("event 0x13 received:"))).toBe(true);
});

test("a StreamID that nobody owns is aborted", () => {
  const { machine, smmu } = rig(profiles["linux-typical"]);
  for (const streamId of [CLIENT_SID + 1, 0x1_0000]) {
    const stranger = new SmmuDmaPort({ smmu, bus: machine.bus, streamId, name: "stranger", trace: silentTrace<DmaEvents>() });
    expect(read(stranger, RAM_BASE)).toBe(ABORT);
  }
});

test("iommu.passthrough: the device reaches physical addresses", () => {
  const { port } = rig(profiles["linux-typical"], { params: { iommuPassthrough: true } });
  expect(read(port, RAM_BASE)).toBe(OK);
});

test("a VHE kernel translates in the EL2-E2H StreamWorld", () => {
  const setup = rig(profiles["linux-typical"], { driver: { vhe: true } });
  const { dma } = mapPage(setup);
  expect(setup.port.write(dma, BYTES)).toBe(OK);
  setup.machine.run(dma_unmap_single(setup.machine.client, dma, 0x1000, DMA_BIDIRECTIONAL));
  expect(setup.port.write(dma, BYTES)).toBe(ABORT);
});

test("with an MSI frame the event queue's interrupt is a message", () => {
  const setup = rig(profiles["linux-typical"], { frame: FRAME, node: { msiParent: { label: "v2m", args: [] } } });
  expect(driverData(setup.machine).evtq_irq).toBe(FRAME.first);
  expect(read(setup.port, 0x1234_5000)).toBe(ABORT);
  setup.machine.idle(1_000_000);
  expect(setup.machine.kernel.irq.count(FRAME.first)).toBe(1);
  expect(setup.machine.log.some((line) => line.includes("event 0x10 received:"))).toBe(true);
});

describe("a fault that stalls is answered by the event thread with an abort", () => {
  const force: SmmuConfig = { ...profiles["linux-typical"], stallModel: "force" };
  const canStall = { "dma-can-stall": true };
  test.each([
    ["dma-can-stall", profiles["linux-typical"], canStall],
    ["an SMMU that always stalls", force, {}],
    ["stage 2, dma-can-stall", S2_ONLY, canStall],
  ] as const)("%s", (_what, config, clientProperties) => {
    const setup = rig(config, { clientProperties });
    const { machine, port, smmu } = setup;
    const { dma } = mapPage(setup);
    expect(port.write(dma, BYTES)).toBe(OK);
    const ends: DmaStatus[] = [];
    const onCompletion = (status: DmaStatus): void => void ends.push(status);
    expect(port.write(dma + 0x1000, BYTES, { onCompletion })).toBe(DmaStatus.stalled);
    expect(ends).toEqual([]);
    machine.idle(1_000_000);
    expect(ends).toEqual([ABORT]);
    expect(smmu.translation.stalls.held).toEqual([]);
    expect(machine.log.some((line) => line.endsWith(" stall stag: 0"))).toBe(true);
  });

  test("a device that may not stall has S1STALLD, and its faults terminate", () => {
    const setup = rig(profiles["linux-typical"]);
    expect(read(setup.port, 0x1234_5000)).toBe(ABORT);
  });
});

test("a two-level CD table translates", () => {
  const setup = rig(profiles.max, { clientProperties: { "pasid-num-bits": 20 } });
  const { dma } = mapPage(setup);
  expect(setup.port.write(dma, BYTES)).toBe(OK);
});

test("an illegal command is skipped, and the queue goes on", () => {
  const { machine } = rig(profiles.tiny);
  const smmu = driverData(machine);
  machine.run(arm_smmu_cmdq_issue_cmd(smmu, { opcode: R.CMDQ_OP_TLBI_S12_VMALL, vmid: 0 }));
  machine.idle(1_000_000);
  expect(machine.log.some((line) => line.includes("Illegal command"))).toBe(true);
  expect(machine.run(arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_CFGI_ALL }))).toBe(0);
});

describe("shutdown", () => {
  function shutDown(
    driver: ArmSmmuV3Options,
    config = profiles["linux-typical"],
  ): Rig & { readonly dma: number; readonly pa: number; readonly writes: string[] } {
    const setup = rig(config, { driver });
    const { buffer, dma } = mapPage(setup);
    const writes: string[] = [];
    setup.trace.on("smmu.write", ({ data }) => writes.push(data.register));
    const hook = setup.machine.smmuDevice.driver!.shutdown;
    if (hook) setup.machine.run(hook(setup.machine.smmuDevice));
    return { ...setup, dma, pa: buffer.pa, writes };
  }
  const cr0 = ({ machine }: Rig): number => readl(driverData(machine).base, R.ARM_SMMU_CR0ACK);
  const gbpa = ({ machine }: Rig): number => readl(driverData(machine).base, R.ARM_SMMU_GBPA);

  test("none: there is no hook, and translation goes on", () => {
    const setup = shutDown({ shutdown: "none" });
    expect(setup.machine.smmuDevice.driver!.shutdown).toBeUndefined();
    expect(setup.writes).toEqual([]);
    expect(cr0(setup) & R.CR0_SMMUEN).toBe(1);
    expect(setup.port.write(setup.dma, BYTES)).toBe(OK);
  });

  test("bypass (Linux 7.1): CR0 is 0 and GBPA stays, so DMA goes to the IOVA taken as a physical address", () => {
    const setup = shutDown({ shutdown: "bypass" });
    expect(setup.writes).toEqual(["SMMU_CR0"]);
    expect(cr0(setup)).toBe(0);
    expect(gbpa(setup) & R.GBPA_ABORT).toBe(0);
    expect(setup.port.write(setup.pa, BYTES)).toBe(OK);
  });

  test("bypass leaves a GBPA that aborts after reset as it is", () => {
    const setup = shutDown({ shutdown: "bypass" }, { ...profiles["linux-typical"], gbpaResetAbort: true });
    expect(gbpa(setup) & R.GBPA_ABORT).not.toBe(0);
    expect(read(setup.port, setup.pa)).toBe(ABORT);
  });

  test("abort: GBPA.ABORT first, then CR0; every DMA is aborted", () => {
    const setup = shutDown({ shutdown: "abort" });
    expect(setup.writes).toEqual(["SMMU_GBPA", "SMMU_CR0"]);
    expect(cr0(setup)).toBe(0);
    expect(gbpa(setup) & R.GBPA_ABORT).not.toBe(0);
    expect(read(setup.port, setup.pa)).toBe(ABORT);
    expect(read(setup.port, setup.dma)).toBe(ABORT);
  });

  test("unbinding the driver releases its devices and disables the SMMU", () => {
    const setup = rig(profiles["linux-typical"]);
    const { machine } = setup;
    machine.run(machine.smmuDevice.driver!.remove!(machine.smmuDevice));
    expect(setup.smmu.registers.smmuEnabled()).toBe(false);
    expect(machine.client.iommu_group).toBeNull();
  });
});

test("a kernel that finds the SMMU running sets GBPA.ABORT and takes it over", () => {
  const setup = rig(profiles["linux-typical"], {}, (smmu) => {
    // What a predecessor left: enabled, with a stream table that is gone.
    smmu.write64(R.ARM_SMMU_STRTAB_BASE, RAM_BASE, 0);
    smmu.write(R.ARM_SMMU_STRTAB_BASE_CFG, 4, 6);
    smmu.write(R.ARM_SMMU_CR0, 4, R.CR0_SMMUEN);
  });
  expect(setup.machine.log.some((line) => line.includes("SMMU currently enabled! Resetting..."))).toBe(true);
  expect(readl(driverData(setup.machine).base, R.ARM_SMMU_GBPA) & R.GBPA_ABORT).not.toBe(0);
  const { dma } = mapPage(setup);
  expect(setup.port.write(dma, BYTES)).toBe(OK);
});

test("a crash kernel's SMMU translates but reports no events", () => {
  const setup = rig(profiles["linux-typical"], { crashKernel: true });
  const before = setup.machine.log.length;
  expect(read(setup.port, 0x1234_5000)).toBe(ABORT);
  setup.machine.idle(1_000_000);
  expect(setup.machine.log).toHaveLength(before);
  const { dma } = mapPage(setup);
  expect(setup.port.write(dma, BYTES)).toBe(OK);
});
