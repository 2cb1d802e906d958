// SPDX-License-Identifier: MIT
/** The ownership shadow: who owns a page, who may touch it, and what ends that. */
import { describe, expect, test } from "vitest";
import { describePage, describeTrespass, isForeign, OwnershipShadow } from "../../../src/lab/index.ts";
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
    expect(s.trespasses("nic", BASE, 4)).toEqual([{ address: BASE, length: 4, page: undefined }]);
  });

  test("a device may touch what was granted to it, another may not", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "ring", "dma-coherent");
    pages.granted("nic", BASE, PAGE, "coherent");
    expect(s.trespasses("nic", BASE, PAGE)).toEqual([]);
    expect(s.trespasses("etr", BASE, 4)[0]?.page?.owner).toBe("ring");
  });

  test("an access trespasses on each of its pages that is not granted", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, 2 * PAGE, "buffer", "kernel");
    pages.granted("nic", BASE, PAGE, "streaming");
    expect(s.trespasses("nic", BASE + PAGE - 8, 16)).toMatchObject([{ address: BASE + PAGE, length: 8 }]);
    expect(s.trespasses("etr", BASE + PAGE - 8, 16)).toMatchObject([
      { address: BASE + PAGE - 8, length: 8 },
      { address: BASE + PAGE, length: 8 },
    ]);
  });

  test("two grants of one page need two revocations", () => {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "two buffers", "kernel");
    pages.granted("nic", BASE, 2048, "streaming");
    pages.granted("nic", BASE + 2048, 2048, "streaming");
    pages.revoked("nic", BASE, 2048);
    expect(s.trespasses("nic", BASE, 4)).toEqual([]);
    pages.revoked("nic", BASE + 2048, 2048);
    expect(s.trespasses("nic", BASE, 4)).toHaveLength(1);
  });

  test("freeing a page ends its grants and remembers who freed it and when", () => {
    const { shadow: s, at } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "ring", "dma-coherent");
    pages.granted("nic", BASE, PAGE, "coherent");
    at(77);
    pages.freed(BASE, PAGE, "e1000_remove");
    const page = s.trespasses("nic", BASE, 4)[0]?.page;
    expect(page).toMatchObject({ state: "free", endedBy: "e1000_remove", endedAt: 77 });
    expect(describePage(page)).toBe("memory that was ring (dma-coherent) of the first kernel, freed by e1000_remove");
  });
});

describe("whose a page is that a device may no longer touch", () => {
  function unmapped(): OwnershipShadow {
    const { shadow: s } = shadow();
    const pages = s.watcher("first");
    pages.allocated(BASE, PAGE, "rx buffer", "kernel");
    pages.granted("nic", BASE, PAGE, "streaming");
    pages.revoked("nic", BASE, PAGE);
    return s;
  }

  test("unmapped and not given on: nobody else's for the device that had it, somebody else's for any other", () => {
    const [trespass] = unmapped().trespasses("nic", BASE, 4);
    expect(isForeign(trespass?.page, "nic")).toBe(false);
    expect(describeTrespass(trespass!, "nic")).toBe("rx buffer (kernel) of the first kernel, unmapped from it and not given on");
    expect(isForeign(trespass?.page, "etr")).toBe(true);
  });

  test("freed: nobody's", () => {
    const s = unmapped();
    s.watcher("first").freed(BASE, PAGE, "kfree");
    expect(isForeign(s.find(BASE), "nic")).toBe(false);
  });

  test("freed and allocated again: somebody else's", () => {
    const s = unmapped();
    s.watcher("first").freed(BASE, PAGE, "kfree");
    s.watcher("first").allocated(BASE, PAGE, "inode", "kernel");
    expect(isForeign(s.find(BASE), "nic")).toBe(true);
  });

  test("never had by anybody: nobody's", () => {
    expect(isForeign(undefined, "nic")).toBe(false);
  });
});

describe("two kernels and one device", () => {
  test("a kernel takes back its own grants only", () => {
    const { shadow: s } = shadow();
    s.watcher("first").allocated(BASE, PAGE, "ring", "dma-coherent");
    s.watcher("first").granted("nic", BASE, PAGE, "coherent");
    s.watcher("second").revoked("nic", BASE, PAGE);
    expect(s.trespasses("nic", BASE, 4)).toEqual([]);
    s.watcher("second").granted("nic", BASE, PAGE, "coherent");
    s.watcher("first").revoked("nic", BASE, PAGE);
    expect(s.trespasses("nic", BASE, 4)).toEqual([]);
    s.watcher("second").revoked("nic", BASE, PAGE);
    expect(s.trespasses("nic", BASE, 4)).toHaveLength(1);
  });
});

describe("the end of a kernel", () => {
  test("at a kexec jump all that the old kernel owned is given away, grants too", () => {
    const { shadow: s } = shadow();
    s.watcher("first").allocated(BASE, PAGE, "ring", "dma-coherent");
    s.watcher("first").granted("nic", BASE, PAGE, "coherent");
    s.giveAway("first", "the kexec jump");
    expect(s.trespasses("nic", BASE, 4)[0]?.page).toMatchObject({ state: "given-away", kernel: "first", endedBy: "the kexec jump" });
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
    expect(s.trespasses("nic", BASE, 4)).toEqual([]);
  });
});

describe("a range that is set aside", () => {
  /** One page of the first kernel, granted to a device, set aside. */
  function aside() {
    const { shadow: s } = shadow();
    s.watcher("first").allocated(BASE, PAGE, "ring", "dma-coherent");
    s.watcher("first").granted("nic", BASE, PAGE, "coherent");
    return { s, records: s.setAside(BASE, 2 * PAGE, "the kexec jump") };
  }

  test("is given away, and nobody may touch it by what was granted before", () => {
    const { s } = aside();
    expect(s.trespasses("nic", BASE, 4)[0]?.page).toMatchObject({ state: "given-away", kernel: "first", endedBy: "the kexec jump" });
  });

  test("comes back with its owner and its grants, whoever had it meanwhile", () => {
    const { s, records } = aside();
    s.watcher("second").allocated(BASE, 2 * PAGE, "ring", "dma-coherent");
    s.watcher("second").granted("display", BASE, 2 * PAGE, "coherent");
    const theirs = s.setAside(BASE, 2 * PAGE, "the jump back");
    s.putBack(records);
    expect(s.trespasses("nic", BASE, 4)).toEqual([]);
    expect(s.trespasses("display", BASE, 4)[0]?.page).toMatchObject({ state: "owned", kernel: "first" });
    expect(s.find(BASE + PAGE)).toMatchObject({ state: "given-away", kernel: "second", endedBy: "the jump back" });
    expect(theirs).toHaveLength(2);
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
