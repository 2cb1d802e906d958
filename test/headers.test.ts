// SPDX-License-Identifier: MIT
/** Code that follows Linux says which version and which file, and what of it is left out, in the first comment of its file. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const src = join(import.meta.dirname, "..", "src");

/** Files that follow nothing in Linux: faces to the outside, and what stands for hardware, firmware or other programs. */
const NO_COUNTERPART: readonly string[] = [
  "drivers/index.ts",
  "kernel/boot/bad-word.ts", // stands for what is found out by using memory
  "kernel/index.ts",
  "kernel/kernel.ts", // what one kernel consists of
  "kernel/ports.ts", // the hardware that a kernel needs
  "kernel/events.ts", // what it traces
  "kernel/params.ts", // each field names its option
  "kernel/boot/boot-info.ts", // what a boot loader tells
  "kernel/boot/image.ts", // text that can be damaged
  "kernel/boot/image-format.ts",
  "kernel/kexec/placement.ts", // kexec-tools
  "kernel/mm/kernel-buffer.ts", // pointers
  "kernel/mm/ranges.ts", // arithmetic
  "kernel/debug/checks.ts", // a table of words
  "kernel/debug/debug.ts", // what the checks have in common
  "kernel/debug/iotlb.ts", // a check that Linux has not
  "kernel/debug/missing-yield.ts", // a mistake that C has not
  "kernel/of/fdt-format.ts", // the format is the Devicetree Specification's
  "kernel/of/fdt-read.ts",
  "kernel/of/fdt-write.ts",
  "kernel/of/fdt-tree.ts",
  "kernel/of/fdt-flatten.ts",
  "drivers/iommu/arm-smmu-v3/shutdown/audit.ts", // what people patch in by hand
  "drivers/iommu/arm-smmu-v3/hex.ts",
];

const VERSION = /\bLinux \d+\.\d+/;
const FILE = /\b(?:arch|drivers|include|init|kernel|lib|mm|net)\/[\w{},./-]+(?:\.[chS]\b|\.[ch]\})/;
const LEFT_OUT = /\b(?:left out|not modelled|only what)\b/i;

/** The comment that a file begins with, as one line. */
function header(path: string): string {
  const text = readFileSync(path, "utf8");
  const comment = /^\/\/ SPDX[^\n]*\n(?:\/\*\*([^]*?)\*\/|((?:\/\/[^\n]*\n)+))/.exec(text);
  return (comment?.[1] ?? comment?.[2] ?? "").replaceAll(/\n\s*(?:\*|\/\/) ?/g, " ");
}

/** What a file's header does not say. */
function missing(path: string): string[] {
  const text = header(path);
  return [
    ...(VERSION.test(text) ? [] : ["version"]),
    ...(FILE.test(text) ? [] : ["file"]),
    ...(LEFT_OUT.test(text) ? [] : ["what is left out"]),
  ];
}

const files = ["drivers", "kernel"].flatMap((floor) =>
  readdirSync(join(src, floor), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${floor}/${name}`),
);

test("each file under src/drivers and src/kernel that follows Linux names version, file and what is left out", () => {
  const wrong = files
    .filter((name) => !NO_COUNTERPART.includes(name))
    .flatMap((name) => {
      const words = missing(join(src, name));
      return words.length > 0 ? [`${name}: ${words.join(", ")}`] : [];
    });
  expect(wrong).toEqual([]);
});

test("files without a counterpart are there", () => {
  expect(NO_COUNTERPART.filter((name) => !files.includes(name))).toEqual([]);
});
