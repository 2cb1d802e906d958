// SPDX-License-Identifier: GPL-2.0-only
/**
 * Error reporting from a refused request to the log and the recovery, after Linux 7.1 drivers/pci/pcie/{aer,err,portdrv}.c.
 */
import { describe, expect, test } from "vitest";
import { DmaStatus, RootPort } from "../../../src/hw/index.ts";
import {
  device_shutdown,
  type DriverModule,
  msleep,
  PCI_ERS_RESULT,
  pci_enable_device_mem,
  pci_read_config_word,
  pci_register_driver,
  pci_restore_state,
  pci_set_master,
  type PciDev,
  type PciErrorHandlers,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { TestFunction } from "../../hw/pci/support.ts";
import { Machine, RAM } from "./machine.ts";

const NOWHERE = 0x1_0000_0000;
const PORT = "0000:00:01.0";
const MS = 1_000_000;

interface Rig {
  readonly m: Machine;
  readonly dev: TestFunction;
  readonly port: PciDev;
  readonly pdev: PciDev;
  /** A register of the port's capability. */
  aer(offset: number): number;
  /** Lines of the log about PCI functions, without their time. */
  log(): string[];
}

/** A driver that lets its device do DMA. */
function driver(handlers?: PciErrorHandlers, shutdown?: (pdev: PciDev) => Coroutine<void>): DriverModule {
  return {
    name: "dut",
    initcall: "device",
    linkOrder: 90,
    *init(kernel) {
      yield* pci_register_driver(kernel, {
        name: "dut",
        id_table: [{ vendor: 0x1234 }],
        *probe(pdev) {
          yield* pci_enable_device_mem(pdev);
          pci_set_master(pdev);
          return 0;
        },
        ...(handlers ? { err_handler: handlers } : {}),
        ...(shutdown ? { shutdown } : {}),
      });
    },
  };
}

function rig(drivers: readonly DriverModule[] = [driver()], aer: boolean = true): Rig {
  const found: { dev?: TestFunction } = {};
  const m = new Machine({
    aer,
    drivers,
    functions: (made) => {
      found.dev = new TestFunction({ trace: made.trace });
      return [{ bus: 1, device: 0, pciFunction: found.dev }];
    },
  });
  m.boot();
  return {
    m,
    dev: found.dev!,
    port: m.pci(PORT),
    pdev: m.pci("0000:01:00.0"),
    aer: (offset) => m.port.config.read(m.port.extended.aer + offset, 4),
    log: () => m.kernel.printk.lines.map(({ text }) => text),
  };
}

const write = ({ dev }: Rig, address: number = NOWHERE): DmaStatus => dev.dma.write(address, new Uint8Array(8));
const read = ({ dev }: Rig): DmaStatus => dev.dma.read(NOWHERE, new Uint8Array(8));
const settle = ({ m }: Rig, ms: number = 1): void => m.idle(ms * MS);
const after = (lines: readonly string[], first: string): string[] => lines.slice(lines.findIndex((line) => line.includes(first)));

describe("boot", () => {
  test("the port has a service of its own, which takes the port's interrupt", () => {
    const all = rig();
    const service = [...all.port.children].find(({ name }) => name.endsWith("pcie002"))!;
    expect(service.name).toBe(`${PORT}:pcie002`);
    expect(service.driver?.name).toBe("aer");
    expect(all.log().filter((line) => line.includes("AER: enabled with IRQ"))).toHaveLength(1);
    expect(all.aer(44)).toBe(7);
  });

  test("every kind of error is reported by each function that has the capability, and by no other", () => {
    const all = rig();
    const { capabilities, config } = all.m.port;
    expect(config.read(capabilities.express + 8, 2) & 0xf).toBe(0xf);
    expect(all.dev.config.read(all.dev.capabilities.express + 8, 2) & 0xf).toBe(0);
  });

  test("without the capability there is no service", () => {
    const all = rig([driver()], false);
    expect([...all.port.children].filter(({ name }) => name.includes(":pcie"))).toEqual([]);
    expect(all.port.driver?.name).toBe("pcieport");
  });

  test("what the kernel before has left in the registers is cleared and not reported", () => {
    const all = rig();
    all.m.port.config.set(all.m.port.extended.aer + 44, 4, 0);
    write(all);
    expect([all.aer(4), all.aer(48)]).toEqual([1 << 20, 0x24]);
    all.m.bootNext([driver()]);
    expect([all.aer(4), all.aer(48), all.m.port.config.read(all.m.port.capabilities.express + 10, 2)]).toEqual([0, 0, 0]);
    all.m.idle(MS);
    expect(all.log().filter((line) => line.includes("PCIe Bus Error"))).toEqual([]);
  });
});

describe("a refused write", () => {
  test("is logged with its source, its layer, the error and the header of the request", () => {
    const all = rig();
    write(all);
    settle(all);
    expect(after(all.log(), "message received").slice(0, 5)).toEqual([
      `pcieport ${PORT}: AER: Uncorrectable (Non-Fatal) error message received from ${PORT}`,
      `pcieport ${PORT}: PCIe Bus Error: severity=Uncorrectable (Non-Fatal), type=Transaction Layer, (Requester ID)`,
      `pcieport ${PORT}:   device [13b5:0100] error status/mask=00100000/00400000`,
      `pcieport ${PORT}:    [20] UnsupReq               (First)`,
      `pcieport ${PORT}: AER:   TLP Header: 0x60000002 0x010000ff 0x00000001 0x00000000`,
    ]);
  });

  test("cannot be recovered from if a driver below has no error_detected", () => {
    const all = rig();
    write(all);
    settle(all);
    expect(all.log()).toContain(`dut 0000:01:00.0: AER: can't recover (no error_detected callback)`);
    expect(all.log().at(-1)).toBe(`pcieport ${PORT}: AER: device recovery failed`);
    expect(all.dev.resets).toBe(0);
  });

  test("is over with a driver that says that it can go on: mmio_enabled, resume, status cleared", () => {
    const calls: string[] = [];
    const all = rig([
      driver({
        *error_detected(_pdev, state) {
          calls.push(`error_detected ${state}`);
          return PCI_ERS_RESULT.CAN_RECOVER;
        },
        *mmio_enabled() {
          calls.push("mmio_enabled");
          return PCI_ERS_RESULT.RECOVERED;
        },
        *resume() {
          calls.push("resume");
        },
      }),
    ]);
    write(all);
    settle(all);
    expect(calls).toEqual(["error_detected normal", "mmio_enabled", "resume"]);
    expect(all.log().at(-1)).toBe(`pcieport ${PORT}: AER: device recovery successful`);
    expect(all.aer(4)).toBe(0);
    expect(all.dev.resets).toBe(0);
  });

  test("resets all below the port if a driver needs it, and then asks that driver to set its device up again", () => {
    const calls: string[] = [];
    const all = rig([
      driver({
        *error_detected() {
          return PCI_ERS_RESULT.NEED_RESET;
        },
        *slot_reset(pdev) {
          calls.push(`slot_reset, enabled ${pdev.error_state}`);
          return PCI_ERS_RESULT.RECOVERED;
        },
        *resume() {
          calls.push("resume");
        },
      }),
    ]);
    write(all);
    settle(all, 50);
    expect(calls).toEqual([]);
    settle(all, 100);
    expect(calls).toEqual(["slot_reset, enabled normal", "resume"]);
    expect(all.dev.resets).toBe(1);
    expect(all.log()).toContain(`pcieport ${PORT}: AER: Root Port link has been reset (0)`);
    expect(all.aer(44)).toBe(7);
  });

  test("that comes again and again fills ten records in five seconds and no more", () => {
    const handlers: PciErrorHandlers = {
      *error_detected() {
        return PCI_ERS_RESULT.CAN_RECOVER;
      },
    };
    const all = rig([driver(handlers)]);
    for (let i = 0; i < 25; i++) {
      write(all);
      settle(all);
    }
    const count = (): number => all.log().filter((line) => line.includes("PCIe Bus Error")).length;
    expect(count()).toBe(10);
    expect(all.log().filter((line) => line.includes("recovery successful"))).toHaveLength(25);
    all.m.sim.advance(5000 * MS);
    write(all);
    settle(all);
    expect(count()).toBe(11);
    expect(all.log()).toContain("aer_ratelimit: 15 callbacks suppressed");
  });
});

describe("a port between", () => {
  const found: { dev?: TestFunction; lower?: RootPort } = {};
  function below(handlers: PciErrorHandlers): Machine {
    const m = new Machine({
      aer: true,
      drivers: [driver(handlers)],
      functions: (made) => {
        found.lower = new RootPort({ name: "lower", trace: made.trace, downstream: 2, busNumbers: { secondary: 0, subordinate: 0 } });
        found.dev = new TestFunction({ trace: made.trace });
        return [
          { bus: 1, device: 0, pciFunction: found.lower },
          { bus: 2, device: 0, pciFunction: found.dev },
        ];
      },
    });
    m.boot();
    return m;
  }

  test("loses bus numbers, windows and bus mastering in the reset, and has them back before what is below it is asked", () => {
    const calls: string[] = [];
    const m = below({
      *error_detected() {
        return PCI_ERS_RESULT.NEED_RESET;
      },
      *slot_reset(pdev) {
        calls.push(`slot_reset, vendor ${pci_read_config_word(pdev, 0).toString(16)}`);
        pci_restore_state(pdev);
        pci_set_master(pdev);
        return PCI_ERS_RESULT.RECOVERED;
      },
    });
    const { dev, lower } = { dev: found.dev!, lower: found.lower! };
    expect([lower.secondaryBus, dev.dma.write(RAM, new Uint8Array(4))]).toEqual([2, DmaStatus.ok]);
    dev.dma.write(NOWHERE, new Uint8Array(8));
    m.idle(50 * MS);
    expect([lower.secondaryBus, dev.resets]).toEqual([0, 1]);
    m.idle(100 * MS);
    expect(calls).toEqual(["slot_reset, vendor 1234"]);
    expect(m.kernel.printk.lines.at(-1)!.text).toBe(`pcieport ${PORT}: AER: device recovery successful`);
    expect([lower.secondaryBus, lower.busMaster, dev.dma.write(RAM, new Uint8Array(4))]).toEqual([2, true, DmaStatus.ok]);
  });

  test("is told to pass error messages on, as the root port is; without anybody who takes them nobody is", () => {
    const bridgeControl = (port: RootPort): number => port.config.read(0x3e, 2);
    const m = below({});
    expect(bridgeControl(m.port) & 2).toBe(2);
    expect(bridgeControl(rig([driver()], false).m.port)).toBe(0);
  });
});

describe("a refused read", () => {
  test("is answered to the function and not reported: advisory errors are masked after reset", () => {
    const all = rig();
    expect(read(all)).toBe(DmaStatus.abort);
    settle(all);
    expect(all.log().filter((line) => line.includes("PCIe Bus Error"))).toEqual([]);
  });

  test("is a correctable error if somebody has unmasked those: logged, cleared, and nobody's work is interrupted", () => {
    const all = rig();
    all.m.port.config.set(all.m.port.extended.aer + 20, 4, 0);
    read(all);
    settle(all);
    const lines = after(all.log(), "message received");
    expect(lines.slice(0, 4)).toEqual([
      `pcieport ${PORT}: AER: Correctable error message received from ${PORT}`,
      `pcieport ${PORT}: PCIe Bus Error: severity=Correctable, type=Transaction Layer, (Receiver ID)`,
      `pcieport ${PORT}:   device [13b5:0100] error status/mask=00002000/00000000`,
      `pcieport ${PORT}:    [13] NonFatalErr           `,
    ]);
    expect(lines).toHaveLength(4);
    expect(all.aer(16)).toBe(0);
  });
});

describe("what aer_isr passes on as it is", () => {
  test("no correctable error has a pointer, so that bit 0 passes for the first", () => {
    const all = rig();
    all.m.port.config.set(all.m.port.extended.aer + 16, 4, 1);
    all.m.port.errors.receive("correctable", 0x08);
    settle(all);
    expect(all.log()).toContain(`pcieport ${PORT}:    [ 0] RxErr                  (First)`);
  });

  test("a port without a bus below cannot be reset: pci_bus_error_reset is -ENOTTY, and the recovery fails", () => {
    const m = new Machine({ aer: true });
    m.boot();
    // As pci_scan_bridge leaves a bridge for which no bus number is left.
    m.pci(PORT).subordinate = null;
    m.port.config.set(m.port.extended.aer + 4, 4, 1 << 18);
    m.port.errors.receive("fatal", 0x08);
    m.idle(500 * MS);
    const log = m.kernel.printk.lines.map(({ text }) => text);
    expect(log).toContain(`pcieport ${PORT}: AER: Root Port link has been reset (-25)`);
    expect(log.at(-1)).toBe(`pcieport ${PORT}: AER: device recovery failed`);
  });
});

describe("shutdown", () => {
  test("takes the service down with its interrupt before anything behind the port matters: nothing is reported any more", () => {
    const all = rig();
    all.m.run(device_shutdown(all.m.kernel));
    expect(all.aer(44)).toBe(0);
    expect([...all.port.children].filter(({ name }) => name.includes(":pcie"))).toEqual([]);
    write(all);
    settle(all);
    expect(all.log().filter((line) => line.includes("PCIe Bus Error"))).toEqual([]);
  });

  test("an error during a hook is reported meanwhile: services go down with the port, after what is below it", () => {
    const rigged: { all?: Rig } = {};
    const all = rig([
      driver(undefined, function* () {
        write(rigged.all!);
        yield* msleep(2);
      }),
    ]);
    rigged.all = all;
    all.m.run(device_shutdown(all.m.kernel));
    expect(all.log().filter((line) => line.includes("PCIe Bus Error"))).toHaveLength(1);
  });

  test("and a recovery that resets wait for each other for ever, if the error came late enough", () => {
    const rigged: { all?: Rig } = {};
    const handlers: PciErrorHandlers = {
      *error_detected() {
        return PCI_ERS_RESULT.NEED_RESET;
      },
    };
    const all = rig([
      driver(handlers, function* () {
        write(rigged.all!);
        yield* msleep(2);
      }),
    ]);
    rigged.all = all;
    const { kernel, sim } = all.m;
    kernel.spawn("reboot", device_shutdown(kernel));
    // The hook ends, the recovery goes on and wants the port's lock; shutdown has that, and waits for the handler to end.
    expect(sim.run({ limitNs: sim.now + 10e9 }).kind).toBe("deadlock");
    kernel.debug.hung.standstill();
    expect(kernel.warnings.map(({ message }) => message)).toEqual([
      "task irq/64-aerdrv blocked for ever: nothing is left that could wake it",
      "task reboot blocked for ever: nothing is left that could wake it",
    ]);
  });
});
