// SPDX-License-Identifier: GPL-2.0-only
/** A machine with one 82574 behind a root port, its driver, and broadcasts on the wire. */
import { type E1000eDriverOptions as DriverOptions, E1000Adapter, e1000eModule } from "../../../src/drivers/index.ts";
import { BroadcastSource, E1000e, type E1000eOptions as DeviceOptions } from "../../../src/hw/index.ts";
import { device_shutdown, pci_read_config_word, type PciDev } from "../../../src/kernel/index.ts";
import { Machine } from "../../kernel/pci/machine.ts";

export const NIC = "0000:01:00.0";
export const BME = 0x4;

export class NicRig {
  readonly m: Machine;
  readonly nic: E1000e;
  readonly sent: Uint8Array[] = [];

  constructor(driver: DriverOptions, device: Partial<DeviceOptions> = {}) {
    const found: { nic?: E1000e } = {};
    this.m = new Machine({
      drivers: [e1000eModule(driver)],
      functions: (made) => {
        found.nic = new E1000e({
          simulation: made.sim,
          name: "nic",
          trace: made.trace,
          transmit: (frame) => this.sent.push(frame),
          ...device,
        });
        return [{ bus: 1, device: 0, pciFunction: found.nic }];
      },
    });
    this.nic = found.nic!;
  }

  /** Boots, and lets the interface come up. */
  start(): this {
    this.m.boot();
    this.m.idle(200e6);
    return this;
  }

  get pdev(): PciDev {
    return this.m.pci(NIC);
  }

  get adapter(): E1000Adapter {
    const { drvdata } = this.pdev;
    if (drvdata instanceof E1000Adapter) return drvdata;
    throw new Error("the driver is not bound");
  }

  get busMaster(): boolean {
    return (pci_read_config_word(this.pdev, 4) & BME) !== 0;
  }

  /** Physical base of the register BAR. */
  get bar(): number {
    return this.pdev.resources.find(({ bar }) => bar === 0)!.base;
  }

  broadcasts(periodNs: number): BroadcastSource {
    const source = new BroadcastSource(this.m.sim, this.nic, { periodNs });
    source.start();
    return source;
  }

  /** A second kernel boots with the same driver while the device runs on. */
  kexec(driver: DriverOptions): void {
    this.m.bootNext([e1000eModule(driver)]);
    this.m.idle(200e6);
  }

  /** Runs every shutdown hook, as a restart does. */
  shutdown(): void {
    this.m.run(device_shutdown(this.m.kernel));
  }

  /** Register accesses of the driver since CPU access number `from`. */
  registers(from: number = 0): ReturnType<Machine["registers"]> {
    return this.m.registers(this.bar, 0x2_0000, from);
  }

  /** Accesses of the device to memory since record number `from`, those that carry interrupts aside. */
  dma(
    from: number = 0,
  ): { readonly time: number; readonly address: number; readonly write: boolean; readonly outcome: string; readonly aborted: boolean }[] {
    return this.m.records.slice(from).flatMap((record) =>
      record.kind === "dma.access" && record.data.length !== 4
        ? [
            {
              time: record.time,
              address: record.data.address,
              write: record.data.write,
              outcome: record.data.outcome,
              aborted: record.data.bus !== 0,
            },
          ]
        : [],
    );
  }
}
