// SPDX-License-Identifier: MIT
/** Software that nobody here wrote, driving the SMMU: recordings of real drivers. */
export * from "./replay/recording.ts";
export * from "./replay/difference.ts";
export * from "./replay/replayer.ts";
export { qemuDeviations } from "./replay/qemu-deviations.ts";
export * from "./decode/words.ts";
export * from "./decode/decoded.ts";
export * from "./decode/structures.ts";
export * from "./decode/messages.ts";
