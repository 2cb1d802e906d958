// SPDX-License-Identifier: GPL-2.0-only
/** The driver's register header and the device model's tables were written apart; here they check each other. */
import { describe, expect, test } from "vitest";
import * as driver from "../../../src/drivers/net/e1000e/regs.ts";
import { thresholds } from "../../../src/hw/devices/e1000e/descriptors.ts";
import * as hw from "../../../src/hw/devices/e1000e/registers.ts";

const header: Readonly<Record<string, number>> = driver;

/** Names under which the driver's header has another spelling. */
const RENAMED: Readonly<Record<string, string>> = { EIAC: "EIAC_82574", EITR: "EITR_82574" };

/** Rows of a hardware table that the driver's header has too: name, its value there, its value here. */
function common(
  table: Readonly<Record<string, number>>,
  prefix: string,
  renamed: Readonly<Record<string, string>> = {},
): [string, number, number][] {
  return Object.entries(table).flatMap(([name, value]) => {
    const own = header[`E1000_${prefix}${renamed[name] ?? name}`];
    return own === undefined ? [] : [[name, own, value] as [string, number, number]];
  });
}

describe("e1000e registers", () => {
  test.each(common(hw.REG, "", RENAMED))("%s has one offset", (_name, own, modelled) => {
    expect(own).toBe(modelled);
  });

  test("every register of the driver is modelled", () => {
    const offsets = new Set<number>(Object.values(hw.REG));
    const used = Object.entries(header).filter(([name]) =>
      /^E1000_(CTRL|STATUS|EECD|CTRL_EXT|IC[RS]|IM[SC]|EIAC_82574|EITR_82574|IAM|IVAR|[RT]CTL|PBA|RD(?!TR_).+|TD.+|[RT]ADV|[RT]XDCTL1?|TIDV|RFCTL|RA[LH]|WUF?C)$/.test(
        name,
      ),
    );
    expect(used.length).toBe(38);
    for (const [name, offset] of used) expect([name, offsets.has(offset)]).toEqual([name, true]);
  });

  test.each([
    ...common(hw.CTRL, "CTRL_"),
    ...common(hw.CTRL_EXT, "CTRL_EXT_"),
    ...common(hw.STATUS, "STATUS_", { LINK_UP: "LU" }),
    ...common(hw.EECD, "EECD_", { AUTO_READ_DONE: "AUTO_RD" }),
    ...common(hw.RCTL, "RCTL_"),
    ...common(hw.TCTL, "TCTL_"),
    ...common(hw.CAUSE, "ICR_"),
    ...common(hw.RX_STATUS, "RXD_STAT_"),
    ...common(hw.TX_COMMAND, "TXD_CMD_"),
  ])("bit %s has one place", (_name, own, modelled) => {
    expect(own).toBe(modelled);
  });

  test("E1000_RXDCTL_DMA_BURST_ENABLE: PTHRESH 0x20, HTHRESH 4, WTHRESH 4 descriptors; transmit: 0x1f, 1, 1", () => {
    expect(thresholds(driver.E1000_RXDCTL_DMA_BURST_ENABLE)).toEqual({ prefetch: 0x20, host: 4, writeBack: 4 });
    expect(thresholds(driver.E1000_TXDCTL_DMA_BURST_ENABLE)).toEqual({ prefetch: 0x1f, host: 1, writeBack: 1 });
    expect(driver.E1000_RDTR_FPD).toBe(hw.RDTR_FPD);
  });

  test("RFCTL.EXTEN, RAH.AV and the transmit descriptor's done bit", () => {
    expect([driver.E1000_RFCTL_EXTEN, driver.E1000_RAH_AV, driver.E1000_TXD_STAT_DD]).toEqual([hw.RFCTL_EXTEN, hw.RAH_AV, hw.TX_STATUS_DD]);
  });
});
