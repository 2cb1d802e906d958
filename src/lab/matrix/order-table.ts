// SPDX-License-Identifier: MIT
/** The order experiment as a table: a row for each arrangement of nodes and drivers, a column for each kind of link. */
import type { OrderBoard, OrderRow } from "./types.ts";

export interface LinkKind {
  readonly title: string;
  readonly fwDevlinkStrict: boolean;
  readonly deviceLink: boolean;
}

export const LINK_KINDS: readonly LinkKind[] = [
  { title: "default", fwDevlinkStrict: false, deviceLink: false },
  { title: "strict", fwDevlinkStrict: true, deviceLink: false },
  { title: "link", fwDevlinkStrict: false, deviceLink: true },
  { title: "both", fwDevlinkStrict: true, deviceLink: true },
];

export interface FoldedOrder {
  readonly nodes: OrderBoard["nodes"];
  readonly drivers: OrderBoard["drivers"];
  /** For each of {@link LINK_KINDS}: the clients that lose their SMMU first; undefined if that was not run. */
  readonly results: readonly (readonly string[] | undefined)[];
}

/** Rows in the order in which their arrangements first appear. */
export function foldOrder(rows: readonly OrderRow[]): FoldedOrder[] {
  const arrangements = new Map(rows.map(({ arrangement: { nodes, drivers } }) => [`${nodes} ${drivers}`, { nodes, drivers }]));
  return [...arrangements.values()].map(({ nodes, drivers }) => ({
    nodes,
    drivers,
    results: LINK_KINDS.map(
      (kind) =>
        rows.find(
          ({ arrangement: board }) =>
            board.nodes === nodes &&
            board.drivers === drivers &&
            board.fwDevlinkStrict === kind.fwDevlinkStrict &&
            board.deviceLink === kind.deviceLink,
        )?.smmuBeforeClients,
    ),
  }));
}
