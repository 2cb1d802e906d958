// SPDX-License-Identifier: GPL-2.0-only
/**
 * A clock that one bit of a register lets through, after Linux 7.1 drivers/clk/clk-gate.c: clk_gate_endisable. Left out: the
 * bit being off for on, masks in the upper half word, the register's lock (there is one CPU).
 */
import { type IoMem, readl, writel } from "../io/io.ts";
import { Clk } from "./clk.ts";

/** Makes a gate of `bit` in the register at `offset`. */
export function clk_hw_register_gate(name: string, parent: Clk | null, io: IoMem, offset: number, bit: number): Clk {
  const set = (on: boolean): void => {
    const old = readl(io, offset);
    writel(io, offset, (on ? old | (1 << bit) : old & ~(1 << bit)) >>> 0);
  };
  return new Clk(io.kernel, name, parent, { enable: () => set(true), disable: () => set(false) });
}
