// SPDX-License-Identifier: GPL-2.0-only
/** Kexec: where segments go, when they get there, and what is called on the way. */
import { describe, expect, test } from "vitest";
import {
  type BootFiles,
  type BootInfo,
  build_kernel_image,
  device_add,
  driver_register,
  dtNode,
  type DtNode,
  EADDRNOTAVAIL,
  EINVAL,
  type Fdt,
  FDT_HEADER,
  fdt_read,
  fdt_write,
  firmware_load,
  type KernelJump,
  of_kexec_setup_fdt,
  type KexecImage,
  PAGE_SIZE,
  patternBytes,
  unflatten_device_tree,
} from "../../../src/kernel/index.ts";
import { pollUntil } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { memoryBlob } from "../support/blob.ts";
import { FakePlatform, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0x8000_0000;
const MIB = 0x10_0000;
const memory = [{ base: RAM, size: 12 * MIB }];

const files: BootFiles = { kernel: build_kernel_image("next", 8), initrd: patternBytes("initrd", 8192), dtb: memoryBlob(memory) };

/** A booted kernel at the start of RAM. */
function booted(crashkernel?: { base: number; size: number }): TestKernel {
  const boot = firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: build_kernel_image("first", 8) });
  const machine = makeTestKernel({ memory, kernel: { boot }, ...(crashkernel ? { cmdline: { crashkernel } } : {}) });
  machine.platform.bus.writeBytes(boot.image.base, boot.image.contents);
  machine.run(machine.kernel.boot());
  return machine;
}

function read(machine: TestKernel, pa: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  machine.platform.bus.readBytes(pa, bytes);
  return bytes;
}

function jump(machine: TestKernel): KernelJump | undefined {
  let seen: KernelJump | undefined;
  machine.kernel.onJump = (to) => (seen = to);
  machine.kernel.spawn("kexec", machine.kernel.kexec.kernel_kexec());
  machine.idle(1e9);
  return seen;
}

describe("kexec_load", () => {
  test("places the kernel in the lowest 2 MiB aligned hole beside the running image, the rest above it", () => {
    const machine = booted();
    expect(machine.kernel.kexec.kexec_load(files)).toBe(0);
    const { segments } = machine.kernel.kexec.kexec_image!;
    const end = RAM + 2 * MIB + files.kernel.bytes.length;
    expect(segments.map(({ name, destination }) => [name, destination])).toEqual([
      ["kernel", RAM + 2 * MIB],
      ["initrd", end],
      ["dtb", end + 8192],
    ]);
  });

  test("may choose memory that the running kernel uses, and leaves it alone until the jump", () => {
    const machine = booted();
    const { mm } = machine.kernel;
    const pa = mm.alloc_pages(4 * MIB, "rx buffers", "kernel", { align: 2 * MIB });
    expect(pa).toBe(RAM + 2 * MIB);
    machine.platform.bus.write32(pa, 0x1234);
    machine.kernel.kexec.kexec_load(files);
    expect(machine.kernel.kexec.kexec_image!.segments[0]!.destination).toBe(pa);
    expect(machine.platform.bus.read32(pa)).toBe(0x1234);
    expect(mm.ownerOf(pa)?.owner).toBe("rx buffers");
  });

  test("never keeps a segment's source where a destination is", () => {
    const machine = booted();
    machine.kernel.mm.alloc_pages(2 * MIB - 9 * PAGE_SIZE, "filler", "kernel");
    machine.kernel.kexec.kexec_load(files);
    const { segments } = machine.kernel.kexec.kexec_image as KexecImage;
    const span = (at: number, length: number): [number, number] => [at, at + length];
    for (const a of segments) {
      for (const b of segments) {
        const [start, end] = span(a.source, a.contents.length);
        const [to, toEnd] = span(b.destination, b.contents.length);
        expect(start >= toEnd || end <= to).toBe(true);
      }
    }
  });

  test("kexec_unload gives the pages back", () => {
    const machine = booted();
    const free = machine.kernel.mm.freeBytes;
    machine.kernel.kexec.kexec_load(files);
    machine.kernel.kexec.kexec_load(files);
    machine.kernel.kexec.kexec_unload();
    expect(machine.kernel.mm.freeBytes).toBe(free);
    expect(machine.kernel.oopses).toEqual([]);
  });

  describe("the blob of the next kernel (of_kexec_alloc_and_setup_fdt)", () => {
    const RESERVE = { base: RAM + 6 * MIB, size: 4 * MIB };
    const wide = (value: number): number[] => [0, value];
    /** What was loaded, as its kernel will find it. */
    function loadedBlob(
      kind: "kexec" | "crash",
      dtb: Uint8Array,
    ): { readonly fdt: Fdt; readonly chosen: DtNode["properties"]; initrd: number } {
      const machine = booted(RESERVE);
      expect(machine.kernel.kexec.kexec_load({ ...files, dtb }, kind)).toBe(0);
      const { kexec_crash_image, kexec_image } = machine.kernel.kexec;
      const image = (kind === "crash" ? kexec_crash_image : kexec_image) as KexecImage;
      const segment = (wanted: string) => image.segments.find(({ name }) => name === wanted)!;
      const { source, contents } = segment("dtb");
      const fdt = fdt_read(read(machine, source, contents.length));
      const node = unflatten_device_tree(fdt).children.find(({ name }) => name === "chosen")!;
      return { fdt, chosen: node.properties, initrd: segment("initrd").destination };
    }

    test("says where the initrd went, reserves it, and that kexec started it", () => {
      const { fdt, chosen, initrd } = loadedBlob("kexec", memoryBlob(memory));
      expect(chosen).toEqual({
        "linux,initrd-start": wide(initrd),
        "linux,initrd-end": wide(initrd + 8192),
        "linux,booted-from-kexec": true,
      });
      expect(fdt.reservations).toEqual([{ address: BigInt(initrd), size: 8192n }]);
    });

    test("tells a crash kernel its memory", () => {
      const { chosen } = loadedBlob("crash", memoryBlob(memory));
      expect(chosen["linux,usable-memory-range"]).toEqual([...wide(RESERVE.base), ...wide(RESERVE.size)]);
    });

    test("forgets what earlier boots said: their initrd, its reservation of whole pages, limits and seeds; the rest stays", () => {
      const old = {
        "linux,initrd-start": wide(RAM + 0x1000),
        "linux,initrd-end": wide(RAM + 0x1800),
        "linux,usable-memory-range": [...wide(RAM), ...wide(MIB)],
        "linux,elfcorehdr": [...wide(RAM), ...wide(MIB)],
        "kaslr-seed": wide(1234),
        bootargs: "console=ttyAMA0",
      };
      const blob = memoryBlob(memory, {
        nodes: [dtNode({ name: "chosen", properties: old })],
        reservations: [
          { address: BigInt(RAM + 0x1000), size: 0x1000n },
          { address: 0x1_0000n, size: 0x2000n },
        ],
      });
      const { fdt, chosen, initrd } = loadedBlob("kexec", blob);
      expect(Object.keys(chosen).toSorted()).toEqual(["bootargs", "linux,booted-from-kexec", "linux,initrd-end", "linux,initrd-start"]);
      expect(fdt.reservations.map(({ address }) => Number(address))).toEqual([0x1_0000, initrd]);
    });

    test("no longer reserves the running kernel's blob, which firmware had reserved as long as its header says", () => {
      const place = { address: 1n, size: 1n };
      const load = (dtb: Uint8Array): BootInfo =>
        firmware_load(new FakePlatform({ memory }).bus, memory, { kernel: build_kernel_image("first", 8), dtb });
      // Where it lies and how long it is does not depend on what the entry says.
      const { base, contents } = load(memoryBlob(memory, { reservations: [place] })).dtb!;
      const entry = { address: BigInt(base), size: BigInt(new DataView(contents.buffer).getUint32(FDT_HEADER.totalsize)) };
      const other = { address: 0x1_0000n, size: 0x2000n };
      const dtb = memoryBlob(memory, { reservations: [entry] });
      const machine = makeTestKernel({ memory, kernel: { boot: load(dtb) } });
      firmware_load(machine.platform.bus, memory, { kernel: build_kernel_image("first", 8), dtb });
      machine.run(machine.kernel.boot());
      machine.kernel.kexec.kexec_load({ kernel: files.kernel, dtb: memoryBlob(memory, { reservations: [other, entry] }) });
      const [segment] = (machine.kernel.kexec.kexec_image as KexecImage).segments.filter(({ name }) => name === "dtb");
      expect(fdt_read(segment!.contents).reservations).toEqual([other]);
    });

    test("is no longer than the file that was given, while its free space lasts", () => {
      expect(of_kexec_setup_fdt(memoryBlob(memory), { kexec: true })).toHaveLength(1024);
      const full = fdt_write(fdt_read(memoryBlob(memory)));
      expect(of_kexec_setup_fdt(full, { kexec: true }).length).toBeGreaterThan(full.length);
    });

    test("a file that is no blob is refused: -EINVAL", () => {
      const machine = booted();
      expect(machine.kernel.kexec.kexec_load({ ...files, dtb: patternBytes("dtb", 512) })).toBe(-EINVAL);
      expect(machine.kernel.printk.lines.at(-1)?.text).toContain("Preparing for new dtb failed");
      expect(machine.kernel.kexec.kexec_image).toBeNull();
    });

    test("a crash kernel that boots by it has its reserve and nothing else", () => {
      const machine = booted(RESERVE);
      machine.kernel.kexec.kexec_load(files, "crash");
      const { boot } = machine.kernel.kexec.kexec_crash_image!;
      machine.kernel.stop();
      const crash = makeTestKernel({ on: machine, kernel: { boot }, name: "crash" });
      crash.run(crash.kernel.boot());
      expect(crash.kernel.mm.memory).toEqual([RESERVE]);
      expect(
        [...crash.kernel.mm.blocks()].every(({ base, size }) => base >= RESERVE.base && base + size <= RESERVE.base + RESERVE.size),
      ).toBe(true);
    });
  });

  test("a crash image needs a reserve", () => {
    expect(booted().kernel.kexec.kexec_load(files, "crash")).toBe(-EADDRNOTAVAIL);
  });

  test("a crash image lies in the reserve at once", () => {
    const reserve = { base: RAM + 6 * MIB, size: 4 * MIB };
    const machine = booted(reserve);
    expect(machine.kernel.kexec.kexec_load(files, "crash")).toBe(0);
    expect(Buffer.compare(read(machine, reserve.base, files.kernel.bytes.length), files.kernel.bytes)).toBe(0);
    expect(machine.kernel.mm.ownerOf(reserve.base)?.owner).toBe("crashkernel");
  });

  test("the kernel hands out no page of the crash reserve", () => {
    const reserve = { base: RAM + 2 * MIB, size: 4 * MIB };
    const machine = booted(reserve);
    expect(machine.kernel.mm.alloc_pages(2 * MIB, "a", "kernel")).toBe(reserve.base + reserve.size);
  });
});

describe("kernel_kexec", () => {
  test("goes through Linux's steps in order", () => {
    const machine = booted();
    machine.kernel.kexec.kexec_load(files);
    jump(machine);
    expect(machine.of("kernel.path").map(({ step }) => step)).toEqual([
      "system_transition_mutex",
      "kernel_kexec",
      "kexec_in_progress",
      "kernel_restart_prepare",
      "reboot_notifier_list SYS_RESTART",
      "usermodehelper_disable",
      "device_shutdown",
      "migrate_to_reboot_cpu",
      "cpu_hotplug_disable",
      "syscore_shutdown",
      "cpu_hotplug_enable",
      "machine_shutdown",
      "smp_shutdown_nonboot_cpus",
      "kmsg_dump",
      "machine_kexec",
    ]);
    expect(machine.platform.firmware.calls).toEqual([]);
  });

  test("kexec_in_progress is set while the devices are shut down", () => {
    const machine = booted();
    const { kernel } = machine;
    const bus = testBus({
      *shutdown() {
        seen.push(kernel.kexec.kexec_in_progress);
      },
    });
    const seen: boolean[] = [];
    machine.run(driver_register(kernel, loggingDriver("nic", bus, [])));
    machine.run(device_add(testDevice(kernel, "nic0", bus)));
    kernel.kexec.kexec_load(files);
    jump(machine);
    expect(seen).toEqual([true]);
  });

  test("segments are at their destinations at the jump and not before", () => {
    const machine = booted();
    machine.kernel.kexec.kexec_load(files);
    const { destination } = machine.kernel.kexec.kexec_image!.segments[0]!;
    expect(read(machine, destination, 64)).toEqual(new Uint8Array(64));
    let atJump: Uint8Array | undefined;
    machine.kernel.onJump = () => (atJump = read(machine, destination, files.kernel.bytes.length));
    machine.kernel.spawn("kexec", machine.kernel.kexec.kernel_kexec());
    machine.idle(1e9);
    expect(Buffer.compare(atJump!, files.kernel.bytes)).toBe(0);
  });

  test("a device that writes to a destination after its page was copied spoils it; before, it does not", () => {
    const machine = booted();
    const { kernel, sim, platform } = machine;
    kernel.kexec.kexec_load(files);
    const { destination } = kernel.kexec.kexec_image!.segments[0]!;
    kernel.kexec.copyPageNs = 1000;
    // The copy starts now: page 0 at 0 ns, page 5 at 5000 ns.
    sim.after(2500, () => {
      platform.bus.write32(destination, 0xbad);
      platform.bus.write32(destination + 5 * PAGE_SIZE, 0xbad);
    });
    jump(machine);
    expect(platform.bus.read32(destination)).toBe(0xbad);
    expect(read(machine, destination + 5 * PAGE_SIZE, 4)).toEqual(files.kernel.bytes.slice(5 * PAGE_SIZE, 5 * PAGE_SIZE + 4));
  });

  test("the old kernel runs no more, and the next one is told where it lies", () => {
    const machine = booted();
    machine.kernel.kexec.kexec_load(files);
    let ran = 0;
    machine.kernel.spawn(
      "kthread",
      (function* () {
        yield* pollUntil(() => ran++ > 1000, 1000, 1e12, "for ever");
      })(),
    );
    const to = jump(machine);
    const atJump = ran;
    machine.idle(1e6);
    expect(ran).toBe(atJump);
    expect(machine.kernel.state).toBe("gone");
    expect(to?.kind).toBe("kexec");
    expect(to?.image.boot).toMatchObject({ kind: "kexec", image: { base: RAM + 2 * MIB, textPages: 8 } });
  });

  test("the next kernel boots from what was copied", () => {
    const machine = booted();
    machine.kernel.kexec.kexec_load(files);
    const to = jump(machine)!;
    const next = makeTestKernel({ name: "next", on: machine, kernel: { boot: to.image.boot } });
    next.run(next.kernel.boot());
    expect(next.kernel.state).toBe("running");
  });

  test("-EINVAL without an image, and another way down is free to go", () => {
    const machine = booted();
    expect(machine.run(machine.kernel.kexec.kernel_kexec())).toBe(-EINVAL);
    machine.kernel.kexec.kexec_load(files);
    expect(jump(machine)?.kind).toBe("kexec");
  });

  test("a panic in a shutdown hook during a kexec finds the lock taken: no crash kernel", () => {
    const machine = booted({ base: RAM + 6 * MIB, size: 4 * MIB });
    const { kernel } = machine;
    const bus = testBus({ shutdown: () => kernel.reboot.panic("hook") });
    machine.run(device_add(testDevice(kernel, "nic0", bus)));
    kernel.kexec.kexec_load(files);
    kernel.kexec.kexec_load(files, "crash");
    expect(jump(machine)).toBeUndefined();
    expect(kernel.state).toBe("crashed");
  });
});
