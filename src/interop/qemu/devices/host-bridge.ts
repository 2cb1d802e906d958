// SPDX-License-Identifier: MIT
/** The PCI host bridge at 00:00.0: nothing but its identity. */
import type { Master } from "../master.ts";
import { PlainFunction } from "./plain-function.ts";

export class HostBridge extends PlainFunction {
  constructor(master: Master) {
    super({ name: "gpex-root", vendorId: 0x1b36, deviceId: 0x0008, classCode: 0x06_0000, master });
  }

  protected override resetDevice(): void {}
}
