// SPDX-License-Identifier: GPL-2.0-only
/**
 * The MAC of the 82574: register access, reset, initialisation, master disable. After Linux 7.1
 * `drivers/net/ethernet/intel/e1000e/{82571.c,mac.c,nvm.c}`.
 *
 * Left out: the NVM and PHY (the MAC address is read from RAL/RAH, where the NVM puts it), the MDIO semaphore, flow
 * control, VLAN and multicast filters, LEDs, statistics registers, and the chip's errata that have no bearing on DMA.
 */
import { type IoMem, msleep, readl, usleep_range, writel } from "../../../kernel/index.ts";
import type { Coroutine } from "../../../sim/index.ts";
import * as reg from "./regs.ts";

/** Errors of the hardware layer, negative when returned. */
export const E1000_ERR_RESET = 9;
export const E1000_ERR_MASTER_REQUESTS_PENDING = 10;

/** What Linux's `struct e1000_hw` is. */
export interface E1000Hw {
  readonly hw_addr: IoMem;
  readonly mac: {
    /** Six bytes. */
    addr: Uint8Array;
    /** The link state must be read again. */
    get_link_status: boolean;
  };
  readonly dbg: (text: string) => void;
}

/** Reads a register. */
export function er32(hw: E1000Hw, offset: number): number {
  return readl(hw.hw_addr, offset);
}

/** Writes a register. */
export function ew32(hw: E1000Hw, offset: number, value: number): void {
  writel(hw.hw_addr, offset, value >>> 0);
}

/** Posted writes arrive before this returns: a read of STATUS. */
export function e1e_flush(hw: E1000Hw): void {
  er32(hw, reg.E1000_STATUS);
}

/**
 * Blocks new requests of the device and waits until those under way have ended: at most 800 tries of up to 200 µs.
 * @returns 0, or -E1000_ERR_MASTER_REQUESTS_PENDING if some are still pending; callers take it for a remark
 */
export function* e1000e_disable_pcie_master(hw: E1000Hw): Coroutine<number> {
  ew32(hw, reg.E1000_CTRL, er32(hw, reg.E1000_CTRL) | reg.E1000_CTRL_GIO_MASTER_DISABLE);
  for (let timeout = reg.MASTER_DISABLE_TIMEOUT; timeout > 0; timeout--) {
    if ((er32(hw, reg.E1000_STATUS) & reg.E1000_STATUS_GIO_MASTER_ENABLE) === 0) return 0;
    yield* usleep_range(100, 200);
  }
  hw.dbg("Master requests are pending.");
  return -E1000_ERR_MASTER_REQUESTS_PENDING;
}

/** Waits until the device has loaded its registers from the NVM. @returns 0 or -E1000_ERR_RESET */
function* e1000e_get_auto_rd_done(hw: E1000Hw): Coroutine<number> {
  for (let i = 0; i < reg.AUTO_READ_DONE_TIMEOUT; i++) {
    if ((er32(hw, reg.E1000_EECD) & reg.E1000_EECD_AUTO_RD) !== 0) return 0;
    yield* usleep_range(1000, 2000);
  }
  hw.dbg("Auto read by HW from NVM has not completed.");
  return -E1000_ERR_RESET;
}

/**
 * Resets the MAC: master disable, interrupts off, receive and transmit off, 10 ms for what is under way, CTRL.RST, and
 * what the reset may have raised is cleared. The reset ends the master disable.
 * @returns 0 or -E1000_ERR_RESET
 */
export function* e1000_reset_hw_82571(hw: E1000Hw): Coroutine<number> {
  if ((yield* e1000e_disable_pcie_master(hw)) !== 0) hw.dbg("PCI-E Master disable polling has failed.");
  ew32(hw, reg.E1000_IMC, 0xffff_ffff);
  ew32(hw, reg.E1000_RCTL, 0);
  ew32(hw, reg.E1000_TCTL, er32(hw, reg.E1000_TCTL) & ~reg.E1000_TCTL_EN);
  e1e_flush(hw);
  yield* usleep_range(10_000, 11_000);

  ew32(hw, reg.E1000_CTRL, er32(hw, reg.E1000_CTRL) | reg.E1000_CTRL_RST);

  const ret = yield* e1000e_get_auto_rd_done(hw);
  if (ret !== 0) return ret;
  // The PHY is configured from the NVM only after the MAC.
  yield* msleep(25);
  ew32(hw, reg.E1000_IMC, 0xffff_ffff);
  er32(hw, reg.E1000_ICR);
  return 0;
}

/** Sets up what a reset leaves open: the own address, the link, the write-back of transmit descriptors. */
export function e1000_init_hw_82571(hw: E1000Hw): void {
  const { addr } = hw.mac;
  const word = (at: number): number => addr[at]! | (addr[at + 1]! << 8);
  ew32(hw, reg.E1000_RAL, word(0) + word(2) * 0x1_0000);
  e1e_flush(hw);
  ew32(hw, reg.E1000_RAH, (reg.E1000_RAH_AV | word(4)) >>> 0);
  e1e_flush(hw);
  ew32(hw, reg.E1000_CTRL, er32(hw, reg.E1000_CTRL) | reg.E1000_CTRL_SLU);
  const txdctl = er32(hw, reg.E1000_TXDCTL) & ~reg.E1000_TXDCTL_WTHRESH;
  ew32(hw, reg.E1000_TXDCTL, txdctl | reg.E1000_TXDCTL_FULL_TX_DESC_WB | reg.E1000_TXDCTL_COUNT_DESC);
}

/** The address that the device loaded from its NVM. */
export function e1000_read_mac_addr_generic(hw: E1000Hw): void {
  const high = er32(hw, reg.E1000_RAH);
  const low = er32(hw, reg.E1000_RAL);
  const byte = (value: number, index: number): number => (value >>> (8 * index)) & 0xff;
  hw.mac.addr = Uint8Array.of(byte(low, 0), byte(low, 1), byte(low, 2), byte(low, 3), byte(high, 0), byte(high, 1));
}

/** Tells the device's firmware that a driver is in charge. */
export function e1000e_get_hw_control(hw: E1000Hw): void {
  ew32(hw, reg.E1000_CTRL_EXT, er32(hw, reg.E1000_CTRL_EXT) | reg.E1000_CTRL_EXT_DRV_LOAD);
}

/** Gives the device back to its firmware. */
export function e1000e_release_hw_control(hw: E1000Hw): void {
  ew32(hw, reg.E1000_CTRL_EXT, er32(hw, reg.E1000_CTRL_EXT) & ~reg.E1000_CTRL_EXT_DRV_LOAD);
}
