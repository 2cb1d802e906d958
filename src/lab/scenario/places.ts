// SPDX-License-Identifier: MIT
/** Addresses and StreamIDs of devices that name none: the usual ones of their kind, for a second of its kind the next free. */
import { STREAM_IDS } from "../machine/board.ts";
import { deviceWindow } from "../machine/clients.ts";
import type { DeviceSpec } from "./types.ts";

const PAGE = 4096;

/** A device as the file describes it. */
export type Unplaced = Omit<DeviceSpec, "streamId" | "base"> & {
  readonly streamId?: number | undefined;
  readonly base?: number | undefined;
};

/** Every device with its StreamID and, where another of its kind has its usual place, with its base. */
export function placeDevices(devices: readonly Unplaced[]): DeviceSpec[] {
  const bases = new Set(devices.map(({ base }) => base));
  // The usual StreamIDs are left to the first of their kind.
  const streams = new Set([...devices.map(({ streamId }) => streamId), ...Object.values(STREAM_IDS)]);
  const placed = new Set<string>();
  const identified = new Set<string>();

  const free = (taken: Set<number | undefined>, from: number, step: number): number => {
    let value = from;
    while (taken.has(value)) value += step;
    taken.add(value);
    return value;
  };
  const stream = (kind: DeviceSpec["kind"]): number => {
    if (identified.has(kind)) return free(streams, STREAM_IDS[kind], 1);
    identified.add(kind);
    return STREAM_IDS[kind];
  };
  return devices.map(({ base, streamId, ...device }): DeviceSpec => {
    const { kind } = device;
    const known = { ...device, streamId: streamId ?? stream(kind) };
    const usual = deviceWindow(device)?.base;
    if (base !== undefined) return { ...known, base };
    if (usual === undefined) return known;
    if (placed.has(kind)) return { ...known, base: free(bases, usual + PAGE, PAGE) };
    placed.add(kind);
    return known;
  });
}
