// SPDX-License-Identifier: MIT
/** Everything, floor by floor. Embedding programs that need the hardware alone import `quiesce/hw`. */
export * as sim from "./sim/index.ts";
export * as hw from "./hw/index.ts";
export * as kernel from "./kernel/index.ts";
export * as drivers from "./drivers/index.ts";
export * as lab from "./lab/index.ts";
export * as interop from "./interop/index.ts";
