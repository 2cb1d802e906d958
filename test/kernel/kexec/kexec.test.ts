// SPDX-License-Identifier: GPL-2.0-only
/** Kexec: where segments go, when they get there, and what is called on the way. */
import { describe, expect, test } from "vitest";
import {
  type BootFiles,
  build_kernel_image,
  device_add,
  driver_register,
  EADDRNOTAVAIL,
  EINVAL,
  firmware_load,
  type KernelJump,
  type KexecImage,
  PAGE_SIZE,
  patternBytes,
} from "../../../src/kernel/index.ts";
import { pollUntil } from "../../../src/sim/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { FakePlatform, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

const RAM = 0x8000_0000;
const MIB = 0x10_0000;
const memory = [{ base: RAM, size: 12 * MIB }];

const files: BootFiles = { kernel: build_kernel_image("next", 8), initrd: patternBytes("initrd", 8192), dtb: patternBytes("dtb", 512) };

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
