// SPDX-License-Identifier: MIT
// A platform DMA engine that copies a block again and again, as an Arm PL330 does for a sound card, and a driver for it, with
// and without a shutdown hook: what a way down makes of each. docs/porting.md explains it.
import { BASE_SCENARIO, boardDevice, runScenario } from "quiesce/lab";
import * as k from "quiesce/kernel";

// Registers. Driver and hardware agree on these offsets only by this table; a port has a header of its own.
const REG = { SRC: 0x00, DST: 0x04, LEN: 0x08, PERIOD_US: 0x0c, CTRL: 0x10, STATUS: 0x14 };
const CTRL_RUN = 1;
const STATUS_BUSY = 1;
const STATUS_DONE = 2; // write 1 to clear; asserts the interrupt

// The hardware: a block is read and, COPY_NS later, written; RUN going off ends neither.
const COPY_NS = 20_000;

class CyclicDma {
  constructor({ simulation, port, line }) {
    Object.assign(this, { simulation, port, line });
    this.reset();
  }

  reset() {
    this.next?.cancel();
    this.registers = new Uint32Array(6);
    this.line?.(false);
  }

  read(offset) {
    return this.registers[offset / 4] ?? 0;
  }

  write(offset, _width, value) {
    const { registers } = this;
    if (offset === REG.STATUS) registers[offset / 4] &= ~(value & STATUS_DONE);
    else registers[offset / 4] = value;
    if (offset === REG.STATUS) this.line((registers[REG.STATUS / 4] & STATUS_DONE) !== 0);
    if (offset === REG.CTRL && value & CTRL_RUN && !(registers[REG.STATUS / 4] & STATUS_BUSY)) this.copy();
  }

  copy() {
    const [source, destination, length, periodUs] = this.registers;
    const block = new Uint8Array(length);
    this.registers[REG.STATUS / 4] |= STATUS_BUSY;
    this.port.read(source, block);
    this.next = this.simulation.after(COPY_NS, () => {
      this.port.write(destination, block);
      this.registers[REG.STATUS / 4] = STATUS_DONE;
      this.line(true);
      const again = () => (this.registers[REG.CTRL / 4] & CTRL_RUN ? this.copy() : undefined);
      this.next = this.simulation.after(periodUs * 1000, again);
    });
  }
}

// The driver. `yield*` stands where Linux may sleep.
const BYTES = 4096;

function* cyclic_dma_probe(pdev) {
  const base = k.devm_platform_ioremap_resource(pdev, 0);
  const error = k.dma_set_mask_and_coherent(pdev, 32);
  if (error !== 0) return error;
  // Whatever an earlier kernel left running ends here.
  k.writel(base, REG.CTRL, 0);
  const idle = (status) => (status & STATUS_BUSY) === 0;
  if ((yield* k.readl_poll(base, REG.STATUS, idle, 10, 1000)) !== 0) return -k.EBUSY;

  const irq = k.platform_get_irq(pdev, 0);
  const data = { base, irq, periods: 0, source: k.dma_alloc_coherent(pdev, BYTES), ring: k.dma_alloc_coherent(pdev, BYTES) };
  pdev.drvdata = data;
  if (data.source === null || data.ring === null) return -k.ENOMEM;
  const handler = () => {
    k.writel(base, REG.STATUS, STATUS_DONE);
    data.periods++;
    return k.IRQ_HANDLED;
  };
  const failed = k.devm_request_irq(pdev, irq, handler);
  if (failed !== 0) return failed;
  data.source.cpu.fill(0x5a);
  return 0;
}

function cyclic_dma_start({ base, source, ring }) {
  k.writel(base, REG.SRC, source.dma);
  k.writel(base, REG.DST, ring.dma);
  k.writel(base, REG.LEN, BYTES);
  k.writel(base, REG.PERIOD_US, 100);
  k.writel(base, REG.CTRL, CTRL_RUN);
}

// Stops the engine, waits until it says that nothing is under way, and only then lets go of the memory.
function* cyclic_dma_stop(pdev) {
  const { base, irq, source, ring, periods } = pdev.drvdata;
  k.writel(base, REG.CTRL, 0);
  const idle = (status) => (status & STATUS_BUSY) === 0;
  if ((yield* k.readl_poll(base, REG.STATUS, idle, 10, 1000)) !== 0) {
    k.dev_warn(pdev, "still busy: its memory stays mapped");
    return;
  }
  yield* k.disable_irq(pdev.kernel, irq);
  for (const { cpu, dma } of [source, ring]) yield* k.dma_free_coherent(pdev, BYTES, cpu, dma);
  k.dev_info(pdev, `stopped after ${periods} periods`);
}

function cyclicDmaModule(hook, initcall, active) {
  const driver = {
    name: "cyclic-dma",
    of_match_table: ["example,cyclic-dma"],
    *probe(pdev) {
      const error = yield* cyclic_dma_probe(pdev);
      if (error === 0 && active) cyclic_dma_start(pdev.drvdata); // what a sound card's driver would ask for
      return error;
    },
    remove: cyclic_dma_stop,
    // Linux's pl330 has no ->shutdown: "mainline" is the same as "no-hook".
    ...(hook === "quiescing" && { shutdown: cyclic_dma_stop }),
  };
  return { name: "cyclic-dma", initcall, linkOrder: 60, init: (kernel) => k.platform_driver_register(kernel, driver) };
}

// The lab: the engine takes the place of the board's trace router, behind the SMMU with a StreamID of its own.
const LINE = 80; // lines 72 to 127 of the board are free
const engine = {
  build({ simulation, port, line }) {
    const registers = new CyclicDma({ simulation, port: port(), line });
    return { registers, reset: () => registers.reset() };
  },
  node: { compatible: ["example,cyclic-dma"], interrupts: [LINE] },
  driver: cyclicDmaModule,
};

function run(wayDown, hook, shutdown) {
  const device = boardDevice("tmc-etr", { name: "engine", streamId: 0x30, hook });
  const machine = { ...BASE_SCENARIO.machine, devices: [device], smmu: { ...BASE_SCENARIO.machine.smmu, shutdown } };
  const scenario = { ...BASE_SCENARIO, title: `${wayDown} ${hook}`, machine, wayDown };
  return runScenario(scenario, { seed: 1, replay: "node examples/ports/cyclic-dma.mjs", clients: { engine } });
}

console.log("way down  SMMU    driver     DMA after the SMMU  harm, bytes  verdict");
for (const wayDown of ["reboot", "kexec", "kdump"])
  for (const smmu of ["bypass", "abort"])
    for (const hook of ["no-hook", "quiescing"]) {
      const { dma, foreignWriteBytes, verdict, secondKernel } = run(wayDown, hook, smmu);
      const columns = [wayDown.padEnd(9), smmu.padEnd(7), hook.padEnd(10), `${dma.afterSmmuShutdown}`.padStart(18)];
      console.log(...columns, ` ${foreignWriteBytes}`.padStart(12), ` ${verdict}, ${secondKernel}`);
    }
