// SPDX-License-Identifier: MIT
/** The lab: machines from descriptions, runs, claims, the matrix, reports. Imports every floor below. */
export * from "./text.ts";
export { nearest } from "../hw/index.ts";
export * from "./events.ts";
export type { Client, ClientContext, CustomClient, CustomClients } from "./machine/clients.ts";
export * from "./run/types.ts";
export * from "./run/result.ts";
export * from "./run/verdict.ts";
export * from "./run/expect.ts";
export * from "./run/text.ts";
export * from "./run/run.ts";
export * from "./run/state.ts";
export * from "./shadow/ownership.ts";
export * from "./monitors/monitor.ts";
export * from "./scenario/types.ts";
export * from "./scenario/check.ts";
export * from "./scenario/parse.ts";
export * from "./matrix/types.ts";
export * from "./matrix/cells.ts";
export * from "./matrix/order.ts";
export * from "./matrix/layout.ts";
export * from "./matrix/thread.ts";
export * from "./matrix/text.ts";
export * from "./matrix/variants.ts";
export * from "./matrix/variants-text.ts";
export * from "./report/page.ts";
