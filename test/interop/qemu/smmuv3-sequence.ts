// SPDX-License-Identifier: MIT
/**
 * What QEMU's own SMMUv3 test (iommu-smmuv3-test, release 11.1) sends, command by command, for each of its three cases: find
 * the test device, build one translation, enable the SMMU, do one DMA, look at the result.
 */

export type TranslationCase = "s1-only" | "s2-only" | "nested";
export const translationCases: readonly TranslationCase[] = ["s1-only", "s2-only", "nested"];

export const SMMU = 0x0905_0000;
export const ECAM = 0x40_1000_0000;
export const BAR0 = 0x1000_0000;
export const IOVA = 0x80_8060_4567;
export const TARGET = 0x4ecb_a567;
export const STREAM_TABLE = 0x4e17_9000;
export const EVENT_QUEUE = 0x4e17_0000;
const CD = 0x4e17_8fc0;
const [L0, L1, L2, L3] = [0x4e4d_0000, 0x4e4d_1000, 0x4e4d_2000, 0x4e4d_3000] as const;

/** A command with the reply that the test insists on. */
export interface Exchange {
  readonly command: string;
  readonly reply: string;
}

const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
const ok = (command: string): Exchange => ({ command, reply: "OK" });
const writel = (address: number, value: number): Exchange => ok(`writel ${hex(address)} ${hex(value)}`);
const writeq = (address: number, value: bigint): Exchange => ok(`writeq ${hex(address)} ${hex(value)}`);
const readl = (address: number, value: number): Exchange => ({
  command: `readl ${hex(address)}`,
  reply: `OK 0x${value.toString(16).padStart(16, "0")}`,
});
const read = (address: number, bytes: string): Exchange => ({
  command: `read ${hex(address)} ${hex(bytes.length / 2)}`,
  reply: `OK 0x${bytes}`,
});

/** Looks at all functions of bus 0, enables the test device at devfn 8 and places its BAR. */
function configuration(): Exchange[] {
  const exchanges: Exchange[] = [];
  const ids: Readonly<Record<number, readonly [string, string]>> = { 0: ["361b", "0800"], 8: ["361b", "0500"] };
  for (let devfn = 0; devfn < 256; devfn++) {
    const base = ECAM + devfn * 4096;
    const [vendor, device] = ids[devfn] ?? ["ffff", ""];
    exchanges.push(read(base, vendor));
    if (device) exchanges.push(read(base, vendor), read(base + 2, device));
  }
  const base = ECAM + 8 * 4096;
  return [
    ...exchanges,
    read(base + 4, "0000"),
    ok(`write ${hex(base + 4)} 0x2 0x0700`),
    read(base + 4, "0700"),
    ok(`write ${hex(base + 0x10)} 0x4 0xffffffff`),
    read(base + 0x10, "00f0ffff"),
    ok(`write ${hex(base + 0x10)} 0x4 0x00000010`),
  ];
}

/** The Stream table entry: all sixteen words. */
export function ste(kind: TranslationCase, streamId: number): Exchange[] {
  const words = Array.from({ length: 16 }, () => 0);
  words[0] = { "s1-only": 0x4e17_8fcb, "s2-only": 0x4e17_8fcd, nested: 0x4e17_8fcf }[kind];
  words[5] = 0x000d_0094;
  words[6] = L0;
  return words.map((word, i) => writel(STREAM_TABLE + 64 * streamId + 4 * i, word));
}

function contextDescriptor(): Exchange[] {
  const words = Array.from({ length: 16 }, () => 0);
  words[0] = 0xc000_0010;
  words[1] = 0x1e20_6204;
  words[2] = 0x4e4d_0001;
  words[4] = 1;
  return words.flatMap((word, i) => [writel(CD + 4 * i, word), readl(CD + 4 * i, word)]);
}

/** Both stages walk the same four pages, each page the table of one level. */
const TABLES: readonly number[] = [L0, L1, L2, L3];
const TABLE = 0x8000_0000_0000_0003n;
/** Leaf attributes: AP or S2AP 0b01 and 0b11. */
const LEAF_01 = 0x0400_0000_0000_0763n;
const LEAF_11 = 0x0400_0000_0000_07e3n;

const slot = (level: number, input: number): number => TABLES[level]! + 8 * (Math.floor(input / 2 ** (39 - 9 * level)) % 512);

/** The path of one input address, down to a page that maps to itself. */
function identity(input: number, leaf: bigint): Exchange[] {
  const page = BigInt(input - (input % 4096));
  const upper = [0, 1, 2].map((level) => writeq(slot(level, input), TABLE | BigInt(TABLES[level + 1]!)));
  return [...upper, writeq(slot(3, input), leaf | page)];
}

/**
 * The walk of IOVA: for each of its four descriptors first the stage 2 walk of the page that holds it, then the descriptor
 * itself; then the stage 2 walk of the result. The test writes all of it in every case, used or not.
 */
export function tables(kind: TranslationCase): Exchange[] {
  const leaf = (kind === "s2-only" ? LEAF_11 : LEAF_01) | BigInt(TARGET - (TARGET % 4096));
  const walk = [0, 1, 2, 3].flatMap((level) => {
    const at = slot(level, IOVA);
    return [...identity(at, LEAF_01), writeq(at, level === 3 ? leaf : TABLE | BigInt(TABLES[level + 1]!))];
  });
  return [...walk, ...identity(TARGET, LEAF_11), ...(kind === "nested" ? identity(CD, LEAF_01) : [])];
}

/** The registers; CR0 last, and nothing is polled afterwards. */
export function registers(): Exchange[] {
  return [
    writel(SMMU + 0x44, 0x8000_0000),
    writel(SMMU + 0x20, 0),
    writel(SMMU + 0x28, 0xd75),
    writeq(SMMU + 0x90, 0x4e16_b00an),
    writel(SMMU + 0x9c, 0),
    writel(SMMU + 0x98, 0),
    writeq(SMMU + 0xa0, BigInt(EVENT_QUEUE) | 0xan),
    writel(SMMU + 0xa8, 0),
    writel(SMMU + 0xac, 0),
    writel(SMMU + 0x88, 5),
    writeq(SMMU + 0x80, BigInt(STREAM_TABLE)),
    writel(SMMU + 0x20, 0xd),
  ];
}

/** Everything that makes StreamID `streamId` translate IOVA to TARGET. */
export function translation(kind: TranslationCase, streamId: number): Exchange[] {
  return [...ste(kind, streamId), ...(kind === "s2-only" ? [] : contextDescriptor()), ...tables(kind), ...registers()];
}

/** The four bytes of a register in the BAR: the test moves them with `read` and `write`, as memory, lowest byte first. */
function littleEndian(value: number): string {
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, "0")).join("");
}
const writeBar = (offset: number, value: number): Exchange => ok(`write ${hex(BAR0 + offset)} 0x4 0x${littleEndian(value)}`);
const readBar = (offset: number, value: number): Exchange => read(BAR0 + offset, littleEndian(value));

/** The DMA of the test device, from arming it to its result. */
export function testdevDma(iova: number, result: number, attributes: number = 0xa): Exchange[] {
  return [
    writeBar(0x04, iova % 2 ** 32),
    writeBar(0x08, Math.floor(iova / 2 ** 32)),
    writeBar(0x1c, TARGET),
    writeBar(0x20, 0),
    writeBar(0x0c, 4),
    writeBar(0x18, attributes),
    writeBar(0x14, 1),
    readBar(0x00, 0),
    readBar(0x10, result),
  ];
}

/** One whole case. */
export function smmuv3Test(kind: TranslationCase): Exchange[] {
  return [
    { command: "endianness", reply: "OK little" },
    ...configuration(),
    ok(`memset ${hex(TARGET)} 0x4 0x00`),
    ...translation(kind, 8),
    ...testdevDma(IOVA, 0),
    read(TARGET, "78563412"),
  ];
}

/** The configuration of the test device alone. */
export const placeTestdev = configuration;

/** What the test passes to the program for a case, less the sockets. */
export const caseArguments: readonly string[] = [
  ..."-machine virt,acpi=off,gic-version=3,iommu=smmuv3 -smp 1 -m 512 -cpu max -net none".split(" "),
  ..."-device iommu-testdev".split(" "),
];
