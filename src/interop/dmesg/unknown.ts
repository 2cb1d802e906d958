// SPDX-License-Identifier: MIT
/** Lines that name an SMMUv3 and that no table here knows. To pass over them would be to say that all is well. */
import type { LogLine } from "../decode/log-line.ts";
import type { DmesgReport } from "./types.ts";

/** Lines of a healthy boot, headlines whose next line is explained, and parameters that have the driver's name. */
const SILENT =
  /^\s*(?:.*command line|allocated \d+ entries for |option (?:mask )?|Adding to iommu group|Removing from iommu group|unexpected PRI request received:|Registered PMU @|found companion CMDQV device)/;

const KINDS_SHOWN = 8;
const TEXT_LENGTH = 160;

/** True for a line that needs no explanation. */
export function isSilent({ message }: LogLine): boolean {
  return SILENT.test(message);
}

export class Unknown {
  #count = 0;
  readonly #kinds = new Set<string>();
  readonly #first = new Map<string, { readonly line: number; count: number; readonly text: string }>();

  /** @param number of the line, from 1 */
  note(number: number, { driver, device, message }: LogLine): void {
    this.#count++;
    // The same message with other numbers is the same kind.
    const kind = message.trim().replace(/0x[0-9a-f]+|\d+/gi, "#");
    if (this.#kinds.size < 4096) this.#kinds.add(kind);
    const known = this.#first.get(kind);
    if (known) known.count++;
    else if (this.#first.size < KINDS_SHOWN) {
      const text = `${driver === undefined ? "" : `${driver} ${device}: `}${message.trim()}`;
      this.#first.set(kind, { line: number, count: 1, text: text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH)}…` : text });
    }
  }

  summary(): DmesgReport["unknown"] {
    return { count: this.#count, kinds: this.#kinds.size, first: [...this.#first.values()] };
  }
}
