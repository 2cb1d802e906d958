// SPDX-License-Identifier: MIT
/**
 * The order experiment: is the SMMU shut down after its clients? One board, its nodes, drivers and links arranged in every
 * way; each boots, reboots, and tells in which order device_shutdown passed its devices.
 */
import { runScenario } from "../run/run.ts";
import type { Scenario } from "../scenario/types.ts";
import { BASE_SCENARIO, boardDevice } from "./cells.ts";
import type { OrderBoard, OrderRow } from "./types.ts";

/** Every arrangement. */
export function orderBoards(): OrderBoard[] {
  const flags = [false, true];
  return (["smmu-first", "smmu-last"] as const).flatMap((nodes) =>
    (["built-in", "client-module", "smmu-module"] as const).flatMap((drivers) =>
      flags.flatMap((fwDevlinkStrict) => flags.map((deviceLink) => ({ nodes, drivers, fwDevlinkStrict, deviceLink }))),
    ),
  );
}

function words({ nodes, drivers, fwDevlinkStrict, deviceLink }: OrderBoard): string {
  return [
    `${nodes === "smmu-first" ? "SMMU node first" : "SMMU node last"}`,
    { "built-in": "all built in", "client-module": "clients as modules", "smmu-module": "SMMU as module" }[drivers],
    ...(fwDevlinkStrict ? ["fw_devlink.strict=1"] : []),
    ...(deviceLink ? ["device links"] : []),
  ].join(", ");
}

export function orderScenario(board: OrderBoard): Scenario {
  const { machine, kernel, workload } = BASE_SCENARIO;
  const driver = board.drivers === "client-module" ? "module" : "built-in";
  const devices = [
    boardDevice("hdlcd", { driver, active: false, linkToSmmu: board.deviceLink }),
    boardDevice("tmc-etr", { driver, active: false, linkToSmmu: board.deviceLink }),
    boardDevice("e1000e", { driver, active: false }),
  ];
  return {
    ...BASE_SCENARIO,
    title: words(board),
    machine: {
      ...machine,
      smmu: { ...machine.smmu, driver: board.drivers === "smmu-module" ? "module" : "built-in" },
      devices,
      smmuNode: board.nodes === "smmu-first" ? 0 : devices.length,
      resetDelayMs: 0,
    },
    kernel: { ...kernel, fwDevlinkStrict: board.fwDevlinkStrict },
    workload: { ...workload, beforeMs: 0, afterMs: 0 },
    wayDown: "power-off",
  };
}

/** Boots one arrangement, powers it off, and reads the order. */
export function runOrderBoard(board: OrderBoard, seed: number): OrderRow {
  const run = runScenario(orderScenario(board), { seed, replay: "" });
  const interesting = new Set(run.interestingDevices);
  const order = [...new Set(run.shutdownOrder.map(({ device }) => device))].filter((device) => interesting.has(device));
  const smmu = order.indexOf(run.smmuDevice);
  return {
    board: words(board),
    arrangement: board,
    shutdownOrder: order,
    smmuBeforeClients: run.clientDevices.filter((client) => smmu >= 0 && order.indexOf(client) > smmu),
  };
}
