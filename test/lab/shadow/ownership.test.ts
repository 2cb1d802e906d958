// SPDX-License-Identifier: MIT
/** The ownership shadow: who owns a page, who may touch it, and what ends that. */
import { describe, expect, test } from "vitest";
import { describePage, OwnershipShadow } from "../../../src/lab/index.ts";
import { ByteSet } from "../../../src/lab/shadow/byte-set.ts";

const PAGE = 4096;
const BASE = 0x8000_0000;

function shadow(): { shadow: OwnershipShadow; at: (time: number) => void } {
  let now = 0;
  return { shadow: new OwnershipShadow(() => now), at: (time) => (now = time) };
}

describe("grants", () => {
  test("a page that nobody ever had is granted to nobody", () => {
    const { shadow: s } = shadow();
    expect(s.trespass("nic", BASE, 4)).toEqual({ address: BASE, page: undefined });
  });

  test("a device may touch what was granted to it, another may not", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "ring", "dma-coherent");
    pages.granted("nic", BASE, PAGE, "coherent");
    expect(s.trespass("nic", BASE, PAGE)).toBeUndefined();
    expect(s.trespass("etr", BASE, 4)?.page?.owner).toBe("ring");
  });

  test("an access is a trespass at the first page that is not granted", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, 2 * PAGE, "buffer", "kernel");
    pages.granted("nic", BASE, PAGE, "streaming");
    expect(s.trespass("nic", BASE + PAGE - 8, 16)?.address).toBe(BASE + PAGE);
  });

  test("two grants of one page need two revocations", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "two buffers", "kernel");
    pages.granted("nic", BASE, 2048, "streaming");
    pages.granted("nic", BASE + 2048, 2048, "streaming");
    pages.revoked("nic", BASE, 2048);
    expect(s.trespass("nic", BASE, 4)).toBeUndefined();
    pages.revoked("nic", BASE + 2048, 2048);
    expect(s.trespass("nic", BASE, 4)).toBeDefined();
  });

  test("freeing a page ends its grants and remembers who freed it and when", () => {
    const { shadow: s, at } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "ring", "dma-coherent");
    pages.granted("nic", BASE, PAGE, "coherent");
    at(77);
    pages.freed(BASE, PAGE, "e1000_remove");
    const page = s.trespass("nic", BASE, 4)?.page;
    expect(page).toMatchObject({ state: "free", endedBy: "e1000_remove", endedAt: 77 });
    expect(describePage(page)).toBe("memory that was ring (dma-coherent) of the first kernel, freed by e1000_remove");
  });
});

describe("the end of a kernel", () => {
  test("at a kexec jump all that the old kernel owned is given away, grants too", () => {
    const { shadow: s } = shadow();
    s.watcher("first").allocated(BASE, PAGE, "ring", "dma-coherent");
    s.watcher("first").granted("nic", BASE, PAGE, "coherent");
    s.giveAway("first", "the kexec jump");
    expect(s.trespass("nic", BASE, 4)?.page).toMatchObject({ state: "given-away", kernel: "first", endedBy: "the kexec jump" });
  });

  test("what the next kernel owns is not touched by that", () => {
    const { shadow: s } = shadow();
    s.own("second", BASE, PAGE, "kernel", "image");
    s.giveAway("first", "the kexec jump");
    expect(s.find(BASE)).toMatchObject({ state: "owned", kernel: "second" });
  });

  test("after a crash jump old grants stay: the crash kernel keeps out of that memory", () => {
    const { shadow: s } = shadow();
    s.watcher("first").allocated(BASE, PAGE, "ring", "dma-coherent");
    s.watcher("first").granted("nic", BASE, PAGE, "coherent");
    s.watcher("second").allocated(BASE + PAGE, PAGE, "early", "early");
    expect(s.trespass("nic", BASE, 4)).toBeUndefined();
  });
});

describe("a set of bytes", () => {
  test("counts each byte once, across pages too", () => {
    const bytes = new ByteSet();
    bytes.add(BASE + PAGE - 4, 8);
    bytes.add(BASE + PAGE - 2, 4);
    bytes.add(BASE + PAGE + 4, 1);
    expect(bytes.size).toBe(9);
  });
});
