// SPDX-License-Identifier: GPL-2.0-only
/** The PCI bus of the device core: match, probe, enable, bus mastering, shutdown. */
import { describe, expect, test } from "vitest";
import { E1000e } from "../../../src/hw/index.ts";
import {
  device_shutdown,
  type DriverModule,
  EAGAIN,
  EBUSY,
  ENODEV,
  type Kernel,
  pci_alloc_irq_vectors,
  pci_clear_master,
  pci_disable_device,
  pci_enable_device_mem,
  pci_ioremap_bar,
  pci_irq_vector,
  pci_read_config_dword,
  pci_read_config_word,
  pci_register_driver,
  pci_set_master,
  pci_set_power_state,
  type PciDev,
  type PciDriver,
  PciPower,
  pm_runtime_allow,
  pm_runtime_get_sync,
  pm_runtime_put_noidle,
  pm_runtime_put_sync,
  pm_runtime_resume,
  pm_runtime_suspend,
  readl,
} from "../../../src/kernel/index.ts";
import { Machine, MSI_FRAME } from "./machine.ts";

const COMMAND = 0x04;
const MEM = 0x2;
const BME = 0x4;
const ENDPOINT = "0000:01:00.0";
const PORT = "0000:00:01.0";

function module(driver: Partial<PciDriver> & Pick<PciDriver, "id_table">): DriverModule {
  return {
    name: "test",
    initcall: "device",
    linkOrder: 100,
    *init(kernel: Kernel) {
      yield* pci_register_driver(kernel, {
        name: "test",
        *probe() {
          return 0;
        },
        ...driver,
      });
    },
  };
}

function machine(drivers: readonly DriverModule[] = []): Machine {
  const made = new Machine({
    drivers,
    functions: (m) => [{ bus: 1, device: 0, pciFunction: new E1000e({ simulation: m.sim, name: "nic", trace: m.trace }) }],
  });
  made.boot();
  return made;
}

/** A driver that lets its function be suspended, and user space that allows it. */
const resting = (extra: Partial<PciDriver> = {}): DriverModule =>
  module({
    id_table: [{ vendor: 0x8086 }],
    *probe(pdev) {
      pm_runtime_put_noidle(pdev);
      pm_runtime_allow(pdev);
      return 0;
    },
    ...extra,
  });

/** A machine whose endpoint is in D3hot by runtime PM. */
function suspended(before: (m: Machine, pdev: PciDev) => void = () => {}): { m: Machine; pdev: PciDev } {
  const m = machine([resting()]);
  const pdev = m.pci(ENDPOINT);
  m.run(pm_runtime_get_sync(pdev));
  before(m, pdev);
  m.run(pm_runtime_put_sync(pdev));
  expect(pdev.current_state).toBe(PciPower.D3hot);
  return { m, pdev };
}

function command(pdev: PciDev): number {
  return pci_read_config_word(pdev, COMMAND);
}

/** device_shutdown as a restart runs it, or as a kexec does. */
function shutdown(m: Machine, kexec: boolean): void {
  m.kernel.kexec.kexec_in_progress = kexec;
  m.run(device_shutdown(m.kernel));
}

describe("pci_bus_match", () => {
  test("a driver's table is compared by vendor and device", () => {
    const m = machine([module({ id_table: [{ vendor: 0x8086, device: 0x10d3 }] })]);
    expect(m.pci(ENDPOINT).driver?.name).toBe("test");
  });

  test("another device of the same vendor is not matched", () => {
    const m = machine([module({ id_table: [{ vendor: 0x8086, device: 0x10d4 }] })]);
    expect(m.pci(ENDPOINT).driver).toBeNull();
  });

  test("a class is compared under its mask", () => {
    const m = machine([module({ id_table: [{ class: 0x020000, classMask: 0xff0000 }] })]);
    expect(m.pci(ENDPOINT).driver?.name).toBe("test");
  });

  test("root ports go to pcieport, which lets them forward requests", () => {
    const port = machine().pci(PORT);
    expect(port.driver?.name).toBe("pcieport");
    expect(command(port) & (MEM | BME)).toBe(MEM | BME);
  });
});

describe("pci_device_probe", () => {
  test("a failed probe leaves the device without a driver", () => {
    const m = machine([
      module({
        id_table: [{ vendor: 0x8086 }],
        *probe() {
          return -ENODEV;
        },
      }),
    ]);
    expect(m.pci(ENDPOINT).driver).toBeNull();
    expect(m.pci(ENDPOINT).pci_driver).toBeNull();
  });

  test("the row of the table that fits is handed to the probe", () => {
    const seen: unknown[] = [];
    machine([
      module({
        id_table: [{ vendor: 1 }, { vendor: 0x8086, driverData: "82574" }],
        *probe(_pdev, id) {
          seen.push(id.driverData);
          return 0;
        },
      }),
    ]);
    expect(seen).toEqual(["82574"]);
  });
});

describe("pci_enable_device_mem", () => {
  test("sets COMMAND.MEM and not COMMAND.BME, and the BAR answers", () => {
    const m = machine();
    const pdev = m.pci(ENDPOINT);
    expect(m.run(pci_enable_device_mem(pdev))).toBe(0);
    expect(command(pdev) & (MEM | BME)).toBe(MEM);
    expect(readl(pci_ioremap_bar(pdev, 0)!, 0x8) & 0x8_0000).toBe(0x8_0000);
  });

  test("enables the bridges above, their COMMAND.BME included", () => {
    const m = machine();
    const port = m.pci(PORT);
    pci_clear_master(port);
    m.run(pci_enable_device_mem(m.pci(ENDPOINT)));
    expect(command(port) & (MEM | BME)).toBe(MEM | BME);
  });

  test("counts: the last pci_disable_device clears COMMAND.BME and leaves COMMAND.MEM", () => {
    const m = machine();
    const pdev = m.pci(ENDPOINT);
    m.run(pci_enable_device_mem(pdev));
    m.run(pci_enable_device_mem(pdev));
    pci_set_master(pdev);
    pci_disable_device(pdev);
    expect(command(pdev) & BME).toBe(BME);
    pci_disable_device(pdev);
    expect(command(pdev) & (MEM | BME)).toBe(MEM);
    expect(pdev.is_busmaster).toBe(false);
  });
});

describe("pci_device_shutdown", () => {
  test("the driver's hook runs before COMMAND.BME is cleared for a kexec", () => {
    const seen: number[] = [];
    const m = machine([
      module({
        id_table: [{ vendor: 0x8086 }],
        *shutdown(pdev) {
          seen.push(command(pdev) & BME);
        },
      }),
    ]);
    const pdev = m.pci(ENDPOINT);
    pci_set_master(pdev);
    shutdown(m, true);
    expect(seen).toEqual([BME]);
    expect(command(pdev) & BME).toBe(0);
  });

  test("kexec: a function without driver loses COMMAND.BME too", () => {
    const m = machine();
    const pdev = m.pci(ENDPOINT);
    pci_set_master(pdev);
    expect(pdev.driver).toBeNull();
    shutdown(m, true);
    expect(command(pdev) & BME).toBe(0);
  });

  test("kexec: bridges lose COMMAND.BME, after what is below them", () => {
    const m = machine();
    pci_set_master(m.pci(ENDPOINT));
    const from = m.cpu.accesses.length;
    shutdown(m, true);
    expect(command(m.pci(PORT)) & BME).toBe(0);
    const commands = m
      .registers(0x4000_0000, 4 << 20, from)
      .filter(({ write, offset }) => write && offset % 0x1000 === COMMAND)
      .map(({ offset }) => offset - COMMAND);
    expect(commands).toEqual([1 << 20, 1 << 15]);
  });

  test("a restart, halt or power-off leaves COMMAND.BME as the driver left it", () => {
    const m = machine();
    pci_set_master(m.pci(ENDPOINT));
    shutdown(m, false);
    expect(command(m.pci(ENDPOINT)) & BME).toBe(BME);
    expect(command(m.pci(PORT)) & BME).toBe(BME);
  });

  test("a runtime-suspended function is resumed first", () => {
    const { m, pdev } = suspended();
    const resumes = pdev.runtime_resumes;
    shutdown(m, false);
    expect(pdev.current_state).toBe(PciPower.D0);
    expect(pdev.runtime_resumes).toBe(resumes + 1);
  });

  test("kexec: a function in D3hot is reached, one in D3cold or an unknown state is left alone", () => {
    for (const [state, touched] of [
      [PciPower.D3hot, true],
      [PciPower.D3cold, false],
      [PciPower.unknown, false],
    ] as const) {
      const m = machine();
      const pdev = m.pci(ENDPOINT);
      pci_set_master(pdev);
      pdev.current_state = state;
      shutdown(m, true);
      expect(command(pdev) & BME).toBe(touched ? 0 : BME);
    }
  });
});

describe("pm_runtime_resume", () => {
  test("puts the header back that a function without No_Soft_Reset lost in D3hot: BARs and COMMAND", () => {
    let before: number[] = [];
    const { m, pdev } = suspended((machine, awake) => {
      machine.run(pci_enable_device_mem(awake));
      pci_set_master(awake);
      before = [4, 0x10, 0x1c].map((where) => pci_read_config_dword(awake, where) & 0xffff_0fff);
    });
    expect(m.run(pm_runtime_resume(pdev))).toBe(0);
    expect([4, 0x10, 0x1c].map((where) => pci_read_config_dword(pdev, where) & 0xffff_0fff)).toEqual(before);
    expect(readl(pci_ioremap_bar(pdev, 0)!, 0x8) & 0x8_0000).toBe(0x8_0000);
  });

  test("puts MSI-X messages back", () => {
    const { m, pdev } = suspended((machine, awake) => {
      machine.run(pci_enable_device_mem(awake));
      pci_alloc_irq_vectors(awake, 2, 2);
    });
    m.run(pm_runtime_resume(pdev));
    const table = pci_ioremap_bar(pdev, 3)!;
    expect([0, 8, 12].map((at) => readl(table, 16 + at))).toEqual([MSI_FRAME + 0x40, pci_irq_vector(pdev, 1), 0]);
  });

  test("does nothing for a function that is awake", () => {
    const m = machine();
    expect(m.run(pm_runtime_resume(m.pci(ENDPOINT)))).toBe(1);
  });

  test("a function may not be suspended before user space allows it", () => {
    const m = machine([
      resting({
        *probe(pdev) {
          pm_runtime_put_noidle(pdev);
          return 0;
        },
      }),
    ]);
    expect(m.run(pm_runtime_suspend(m.pci(ENDPOINT)))).toBe(-EAGAIN);
    expect(m.pci(ENDPOINT).current_state).toBe(PciPower.D0);
  });

  test("a function without driver stays in D0, whatever its runtime status", () => {
    const m = machine();
    pm_runtime_allow(m.pci(ENDPOINT));
    m.idle(1e9);
    expect(m.pci(ENDPOINT).power.runtime_status).toBe("suspended");
    expect(m.pci(ENDPOINT).current_state).toBe(PciPower.D0);
  });

  test("a port is not suspended while a function below it is active", () => {
    const m = machine([resting()]);
    m.run(pm_runtime_get_sync(m.pci(ENDPOINT)));
    // The port's driver keeps the reference it was probed with; without that one only the child is left.
    pm_runtime_put_noidle(m.pci(PORT));
    pm_runtime_allow(m.pci(PORT));
    expect(m.run(pm_runtime_suspend(m.pci(PORT)))).toBe(-EBUSY);
  });
});

describe("pci_set_power_state", () => {
  test("D3hot and back take 10 ms each", () => {
    const m = machine();
    const pdev = m.pci(ENDPOINT);
    const start = m.sim.now;
    expect(m.run(pci_set_power_state(pdev, PciPower.D3hot))).toBe(0);
    expect(m.run(pci_set_power_state(pdev, PciPower.D0))).toBe(0);
    expect(m.sim.now - start).toBeGreaterThanOrEqual(20e6);
  });
});
