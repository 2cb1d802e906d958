// SPDX-License-Identifier: MIT
/** The order experiment: what decides whether the SMMU is shut down after its clients (device core of Linux 7.1). */
import { describe, expect, test } from "vitest";
import { type OrderBoard, type OrderRow, orderBoards, runOrderBoard } from "../../../src/lab/index.ts";

const board = (change: Partial<OrderBoard>): OrderRow =>
  runOrderBoard({ nodes: "smmu-first", drivers: "built-in", fwDevlinkStrict: false, deviceLink: false, ...change }, 1);

test("there is a board for every arrangement", () => {
  expect(new Set(orderBoards().map((arrangement) => JSON.stringify(arrangement))).size).toBe(2 * 3 * 2 * 2);
});

describe("devices are shut down in reverse order of registration", () => {
  test("SMMU node first: its platform clients go before it", () => {
    expect(board({}).smmuBeforeClients).toEqual([]);
  });

  test("SMMU node last, drivers built in: its platform clients go after it, since nothing links them", () => {
    expect(board({ nodes: "smmu-last" }).smmuBeforeClients).toHaveLength(2);
  });

  test("a PCI function is found later than the SMMU and always goes before it", () => {
    const row = board({ nodes: "smmu-last" });
    expect(row.smmuBeforeClients.some((name) => name.startsWith("0000:"))).toBe(false);
    expect(row.shutdownOrder[0]).toMatch(/^0000:/);
  });
});

describe("what moves a client behind its SMMU in the list", () => {
  test.each<Partial<OrderBoard>>([{ deviceLink: true }, { fwDevlinkStrict: true }, { drivers: "smmu-module" }])("%o", (change) => {
    expect(board({ nodes: "smmu-last", ...change }).smmuBeforeClients).toEqual([]);
  });

  test("a client's driver that comes as a module does not: it was never deferred", () => {
    expect(board({ nodes: "smmu-last", drivers: "client-module" }).smmuBeforeClients).toHaveLength(2);
  });
});
