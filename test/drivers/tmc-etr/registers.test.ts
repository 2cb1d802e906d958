// SPDX-License-Identifier: GPL-2.0-only
/** The driver's register header and the device model's table were written apart; here they check each other. */
import { expect, test } from "vitest";
import * as driver from "../../../src/drivers/hwtracing/tmc-etr/tmc-regs.ts";
import { TMC, TMC_FFCR, TMC_STS } from "../../../src/hw/devices/tmc-etr-registers.ts";

const header: Readonly<Record<string, number>> = driver;
const modelled: Readonly<Record<string, number>> = TMC;

const REGISTERS = Object.keys(modelled).flatMap((name) => {
  const own = header[`TMC_${name}`] ?? header[`CORESIGHT_${name}`];
  return own === undefined ? [] : [[name, own] as [string, number]];
});

test("the driver uses 17 of the model's registers", () => {
  expect(REGISTERS).toHaveLength(17);
});

test.each(REGISTERS)("%s has one offset", (name, own) => {
  expect(own).toBe(modelled[name]);
});

test("bits of STS and FFCR", () => {
  expect([driver.TMC_STS_FULL, driver.TMC_STS_TMCREADY, driver.TMC_STS_FTEMPTY, driver.TMC_STS_MEMERR]).toEqual([
    TMC_STS.FULL,
    TMC_STS.TMC_READY,
    TMC_STS.FT_EMPTY,
    TMC_STS.MEM_ERR,
  ]);
  expect([driver.TMC_FFCR_FLUSHMAN, driver.TMC_FFCR_STOP_ON_FLUSH]).toEqual([TMC_FFCR.FLUSH_MAN, TMC_FFCR.STOP_ON_FLUSH]);
});
