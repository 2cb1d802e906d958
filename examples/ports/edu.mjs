// SPDX-License-Identifier: MIT
// A driver for QEMU's edu device (QEMU's docs/specs/edu.rst), a PCI function whose DMA takes 100 ms and cannot be stopped. What
// is under way when the machine goes down ends in the next kernel, if that lets the function be bus master again.
import { Edu } from "quiesce/interop";
import { BASE_SCENARIO, boardDevice, runScenario } from "quiesce/lab";
import * as k from "quiesce/kernel";

// The driver's own register header, from the specification; test/examples compares it with the device's.
export const regs = {
  EDU_ID: 0x00,
  EDU_LIVENESS: 0x04,
  EDU_FACTORIAL: 0x08,
  EDU_DMA_SOURCE: 0x80,
  EDU_DMA_DESTINATION: 0x88,
  EDU_DMA_COUNT: 0x90,
  EDU_DMA_COMMAND: 0x98,
};
const EDU_ID_MASK = 0xffff;
const EDU_ID_VALUE = 0x00ed;
const EDU_DMA_RUN = 1;
const EDU_DMA_TO_MEMORY = 2;
const EDU_BUFFER = 0x4_0000;
const BYTES = 4096;

/** Waits until no transfer is under way: one takes 100 ms. @returns 0 or -ETIMEDOUT */
function edu_wait({ base }) {
  const idle = (command) => (command & EDU_DMA_RUN) === 0;
  return k.readl_poll(base, regs.EDU_DMA_COMMAND, idle, 1000, 150_000);
}

/** Starts a transfer between memory and the device's buffer. */
function edu_start({ base, memory }, toMemory) {
  k.writel(base, regs.EDU_DMA_SOURCE, toMemory ? EDU_BUFFER : memory.dma);
  k.writel(base, regs.EDU_DMA_DESTINATION, toMemory ? memory.dma : EDU_BUFFER);
  k.writel(base, regs.EDU_DMA_COUNT, BYTES);
  k.writel(base, regs.EDU_DMA_COMMAND, EDU_DMA_RUN | (toMemory ? EDU_DMA_TO_MEMORY : 0));
}

function* edu_probe(pdev, { active, careful }) {
  const error = (yield* k.pci_enable_device_mem(pdev)) || k.dma_set_mask_and_coherent(pdev, 28);
  if (error !== 0) return error;
  const base = k.pci_ioremap_bar(pdev, 0);
  if (base === null) return -k.EIO;
  if ((k.readl(base, regs.EDU_ID) & EDU_ID_MASK) !== EDU_ID_VALUE) return -k.ENODEV;
  const data = { base, memory: null, running: active, task: null };
  pdev.drvdata = data;
  if (careful) {
    // A transfer of an earlier kernel still has that kernel's address, which will soon be one of ours.
    k.pci_clear_master(pdev);
    if ((yield* edu_wait(data)) !== 0) return -k.EBUSY;
  }
  data.memory = k.dmam_alloc_coherent(pdev, BYTES);
  if (data.memory === null) return -k.ENOMEM;
  k.pci_set_master(pdev);

  k.writel(base, regs.EDU_LIVENESS, 0x1234_5678);
  if (k.readl(base, regs.EDU_LIVENESS) !== ~0x1234_5678 >>> 0) return -k.EIO;
  k.writel(base, regs.EDU_FACTORIAL, 10);
  k.dev_info(pdev, `10! is ${k.readl(base, regs.EDU_FACTORIAL)}`);
  data.task = k.kthread_run(pdev.kernel, "edu", () => (active ? edu_copy(data) : edu_watch(pdev)));
  return 0;
}

/** What a user's program asks for: memory to the device, and back, without end. */
function* edu_copy(data) {
  data.memory.cpu.fill(0x5a);
  for (let toMemory = false; data.running; toMemory = !toMemory) {
    edu_start(data, toMemory);
    if ((yield* edu_wait(data)) !== 0) return;
  }
}

/** Nobody uses the device: its memory stays as it is. */
function* edu_watch(pdev) {
  yield* k.msleep(120);
  if (pdev.drvdata.memory.cpu.get8(0) !== 0) k.dev_warn(pdev, "memory was overwritten, and no transfer was asked for");
}

/** What cannot be stopped is waited for. Then bus mastering goes off, and only after a removal is the memory given back (devres). */
function* edu_remove(pdev) {
  const data = pdev.drvdata;
  data.running = false;
  if (data.task) yield* k.kthread_stop(data.task);
  if ((yield* edu_wait(data)) !== 0) k.dev_warn(pdev, "the transfer does not end");
  k.pci_clear_master(pdev);
}

function eduModule(hook, initcall, options) {
  const driver = {
    name: "edu",
    id_table: [{ vendor: 0x1234, device: 0x11e8 }],
    probe: (pdev) => edu_probe(pdev, options),
    remove: edu_remove,
    ...(hook === "quiescing" && { shutdown: edu_remove }),
  };
  return { name: "edu", initcall, linkOrder: 92, init: (kernel) => k.pci_register_driver(kernel, driver) };
}

/** The device in the place of the board's NIC; `this.dma` of a PCI function is the way that COMMAND.BME gates. */
const edu = (careful) => ({
  build({ simulation, notModelled }) {
    const master = {
      read: (_requester, address, out, attributes) => pciFunction.dma.read(Number(address), out, attributes),
      write: (_requester, address, bytes, attributes) => pciFunction.dma.write(Number(address), bytes, attributes),
    };
    const pciFunction = new Edu({ simulation, notModelled, master, interrupt: () => {} });
    return { pciFunction };
  },
  driver: (hook, initcall, active) => eduModule(hook, initcall, { active, careful }),
});

function run(wayDown, hook, careful) {
  const device = boardDevice("e1000e", { name: "edu", streamId: 0x30, hook });
  const { machine: base, workload } = BASE_SCENARIO;
  const scenario = {
    ...BASE_SCENARIO,
    title: `edu: ${wayDown}`,
    machine: { ...base, devices: [device] },
    workload: { ...workload, afterMs: 150 },
    wayDown,
  };
  return runScenario(scenario, { seed: 1, replay: "node examples/ports/edu.mjs", clients: { edu: edu(careful) } });
}

console.log("way down  shutdown hook  next kernel's probe  verdict    next kernel's memory");
for (const wayDown of ["reboot", "kexec", "kdump"])
  for (const hook of ["no-hook", "quiescing"])
    for (const careful of [false, true]) {
      const { verdict, log } = run(wayDown, hook, careful);
      const overwritten = log.some(({ text }) => text.includes("overwritten"));
      const probe = careful ? "waits first" : "does not look";
      console.log(wayDown.padEnd(9), hook.padEnd(14), probe.padEnd(20), verdict.padEnd(10), overwritten ? "overwritten" : "as it was");
    }
console.log(`
The claims see no harm: the old transfer's address belongs to the function
again, so its memory is granted. Only the next driver's probe can keep it away,
and after a panic no hook has run: so a probe has to wait.`);
