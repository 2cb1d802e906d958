// SPDX-License-Identifier: GPL-2.0-only
/**
 * The blob for the next kernel: the one that was handed in, with what whoever starts the kernel has to say in `/chosen`.
 *
 * After Linux 7.1 drivers/of/kexec.c: of_kexec_alloc_and_setup_fdt; a boot loader says the same of an initrd. Left out:
 * elfcorehdr (there is no core header), bootargs (they stay as they are: the command line is no text here), seeds, KHO, IMA. The
 * free space behind a blob stays, where Linux packs it: it is there for this.
 */
import type { MemoryRange } from "../mm/ranges.ts";
import type { FdtNode, FdtProperty, FdtReservation } from "./fdt-format.ts";
import { fdt_read } from "./fdt-read.ts";
import { FdtTree, fdt_cells, fdt_error, fdt_property, joinCells } from "./fdt-tree.ts";
import { fdt_write } from "./fdt-write.ts";
import { addressCells, sizeCells } from "./of-address.ts";

/** What is said of the next kernel's memory. */
export interface FdtHandover {
  /** Where its initrd lies. */
  readonly initrd?: MemoryRange | undefined;
  /** The blob of the kernel that says it, which is no longer reserved. */
  readonly running?: MemoryRange | undefined;
  /** The only memory of a crash kernel. */
  readonly usable?: MemoryRange | undefined;
  /** It is started by kexec and not by a boot loader. */
  readonly kexec: boolean;
}

const INITRD: readonly [start: string, end: string] = ["linux,initrd-start", "linux,initrd-end"];
/** What another kernel's way up has left in `/chosen`. A boot loader leaves all of it but the initrd. */
const STALE: readonly string[] = [...INITRD, "linux,elfcorehdr", "linux,usable-memory-range", "kaslr-seed", "linux,booted-from-kexec"];
const PAGE = 4096n;

/** A number in so many cells. */
function cells(value: number, count: number): Uint8Array {
  const bytes = new Uint8Array(4 * count);
  const view = new DataView(bytes.buffer);
  let left = BigInt(value);
  for (let at = 4 * (count - 1); at >= 0; at -= 4) {
    view.setUint32(at, Number(left & 0xffff_ffffn));
    left >>= 32n;
  }
  return bytes;
}

/** The initrd of an earlier boot, as `/chosen` has it. @throws FdtError for one without an end */
function old_initrd(chosen: FdtNode): FdtReservation | undefined {
  const [start, end] = INITRD.map((name) => fdt_property(chosen, name));
  if (start === undefined) return undefined;
  if (end === undefined) throw fdt_error(start, `property "${INITRD[0]}" without "${INITRD[1]}"`);
  const address = joinCells(fdt_cells(start));
  return { address, size: joinCells(fdt_cells(end)) - address };
}

/** @returns the blob, at least as long as the one given @throws FdtError if that one is no device tree */
export function of_kexec_setup_fdt(blob: Uint8Array, { initrd, running, usable, kexec }: FdtHandover): Uint8Array {
  const fdt = fdt_read(blob);
  const tree = new FdtTree(fdt);
  const { root } = fdt;
  const chosen = root.children.find(({ name }) => name === "chosen" || name === "chosen@0");
  const before = chosen && (kexec || initrd) ? old_initrd(chosen) : undefined;
  // Firmware may have reserved whole pages.
  const whole = before && { ...before, size: ((before.size + PAGE - 1n) / PAGE) * PAGE };
  const gone = [before, whole, running && { address: BigInt(running.base), size: BigInt(running.size) }];
  const reservations = fdt.reservations.filter(
    ({ address, size }) => !gone.some((other) => other?.address === address && other.size === size),
  );
  if (initrd) reservations.push({ address: BigInt(initrd.base), size: BigInt(initrd.size) });

  const range = ({ base, size }: MemoryRange): Uint8Array =>
    Uint8Array.from([...cells(base, addressCells(tree, root)), ...cells(size, sizeCells(tree, root))]);
  const stale = kexec ? STALE : initrd ? INITRD : [];
  const properties: FdtProperty[] = (chosen?.properties ?? []).filter(({ name }) => !stale.includes(name));
  if (initrd) {
    properties.push({ name: INITRD[0], value: cells(initrd.base, 2) }, { name: INITRD[1], value: cells(initrd.base + initrd.size, 2) });
  }
  if (usable) properties.push({ name: "linux,usable-memory-range", value: range(usable) });
  if (kexec) properties.push({ name: "linux,booted-from-kexec", value: new Uint8Array() });
  const made: FdtNode = { name: "chosen", children: [], ...chosen, properties };
  const children = chosen ? root.children.map((child) => (child === chosen ? made : child)) : [made, ...root.children];
  const written = fdt_write({ ...fdt, reservations, root: { ...root, children } });
  const spaced = new Uint8Array(Math.max(blob.length, written.length));
  spaced.set(written);
  return spaced;
}
