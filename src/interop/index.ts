// SPDX-License-Identifier: MIT
/** Software that nobody here wrote, driving the SMMU: recordings of real drivers. */
export * from "./replay/recording.ts";
export * from "./replay/difference.ts";
export * from "./replay/report.ts";
export * from "./replay/replayer.ts";
export { qemuDeviations } from "./replay/qemu-deviations.ts";
export { type FirmwareRun, type FirmwareStep, type RunKind, isFirmwareRecording, parseFirmware } from "./firmware/format.ts";
export { FirmwareMachine } from "./firmware/machine.ts";
export { configOfFirmware } from "./firmware/profile.ts";
export * from "./firmware/replay.ts";
export { type StubDeviation, stubDeviations } from "./firmware/stub-deviations.ts";
export * from "./decode/words.ts";
export * from "./decode/decoded.ts";
export * from "./decode/structures.ts";
export * from "./decode/descriptor.ts";
export * from "./decode/messages.ts";
export { type DecodedTextOptions, decodedText } from "./decode/text.ts";
export { type QemuOptions, QemuOptionError, parseQemuOptions } from "./qemu/options.ts";
export { DEFAULT_PROFILE, profileNames } from "./qemu/profile.ts";
export { type DeviceRequest, Machine, type MachineRequest, type NamedDevice, VIRT } from "./qemu/machine.ts";
export { QtestServer } from "./qemu/qtest/server.ts";
export { QmpServer } from "./qemu/qmp.ts";
export { EDU } from "./qemu/devices/edu.ts";
export { TESTDEV, TESTDEV_RESULT } from "./qemu/devices/iommu-testdev.ts";
export { ENGINE, PRIVILEGED_FRAME, TEST_ENGINE_SIZE, USER_FRAME } from "./qemu/devices/test-engine.ts";
export { Dmesg } from "./dmesg/analyse.ts";
export { dmesgText } from "./dmesg/text.ts";
export type { AddressSummary, CauseFound, DmesgFinding, DmesgReport, StreamSummary } from "./dmesg/types.ts";
