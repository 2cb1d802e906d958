// SPDX-License-Identifier: GPL-2.0-only
/** The driver's register header and the device model's table were written apart; here they check each other. */
import { expect, test } from "vitest";
import * as driver from "../../../src/drivers/gpu/hdlcd/hdlcd-regs.ts";
import { HDLCD, HDLCD_COMMAND_ENABLE, HDLCD_INT } from "../../../src/hw/index.ts";

const header: Readonly<Record<string, number>> = driver;

test.each(Object.entries(HDLCD))("%s has one offset", (name, offset) => {
  expect(header[`HDLCD_REG_${name}`]).toBe(offset);
});

test("the driver has no register that the model lacks", () => {
  expect(Object.keys(header).filter((name) => name.startsWith("HDLCD_REG_"))).toHaveLength(Object.keys(HDLCD).length);
});

test.each(Object.entries(HDLCD_INT))("interrupt %s has one place", (name, bit) => {
  expect(header[`HDLCD_INTERRUPT_${name}`]).toBe(bit);
});

test("COMMAND.ENABLE", () => {
  expect(driver.HDLCD_COMMAND_ENABLE).toBe(HDLCD_COMMAND_ENABLE);
});
