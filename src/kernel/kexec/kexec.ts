// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kexec: another kernel takes over the machine without a reset. Its segments are loaded into pages anywhere and copied to
 * their destinations only at the jump, when the running kernel no longer needs what lies there. A crash kernel lies ready
 * in its reserve. Devices are not reset: whatever still runs goes on during the copy and under the next kernel.
 *
 * After Linux 7.1 kernel/kexec_core.c: kernel_kexec; kernel/kexec.c: do_kexec_load; kernel/crash_core.c: __crash_kexec,
 * crash_kexec; kernel/crash_reserve.c: reserve_crashkernel_generic; arch/arm64/kernel/machine_kexec.c: machine_shutdown,
 * machine_crash_shutdown, machine_kexec. A kexec jump is in jump.ts and jump-image.ts. Left out: live update, signatures and measuring of images, the control
 * page and purgatory, vmcoreinfo, what /proc/vmcore reads, a reserve's CMA part, masking of interrupts (the next kernel does it).
 */
import type { Coroutine } from "../../sim/index.ts";
import { never } from "../../sim/index.ts";
import type { BootFiles } from "../boot/image-format.ts";
import type { BootInfo } from "../boot/boot-info.ts";
import { EADDRNOTAVAIL, EBUSY, EINVAL, ENOMEM } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { NO_PAGES, PAGE_ALIGN, PAGE_SIZE } from "../mm/page-allocator.ts";
import type { MemoryRange } from "../mm/ranges.ts";
import { FDT_HEADER, FdtError } from "../of/fdt-format.ts";
import { type JumpContext, kexec_jump } from "./jump.ts";
import { free_segments, jump_back_image, JumpImage, type JumpRegion, load_jump_image } from "./jump-image.ts";
import { bootInfoOf, type PlacedSegment, placeSegments } from "./placement.ts";

/** A segment of a loaded image. */
export interface KexecSegment extends PlacedSegment {
  /** Where its bytes wait until the jump; equal to `destination` for a crash image. */
  readonly source: number;
}

/** A loaded image, ready for the jump. */
export interface KexecImage {
  readonly kind: "kexec" | "crash";
  readonly segments: readonly KexecSegment[];
  /** What the next kernel is told. */
  readonly boot: BootInfo;
}

/** KEXEC_PRESERVE_CONTEXT: this kernel means to come back, and keeps what is in the region. */
export interface KexecFlags extends JumpRegion {
  readonly preserve_context?: boolean;
}

export class KexecCore {
  kexec_image: KexecImage | JumpImage | null = null;
  kexec_crash_image: KexecImage | null = null;
  /** Set before devices are shut down for a kexec; the PCI bus's hook looks at it. Never set by a crash. */
  kexec_in_progress: boolean = false;
  /** Virtual nanoseconds in which one page is copied at the jump. */
  copyPageNs: number = 500;
  /** CONFIG_KEXEC_JUMP. Off: x86 and SuperH have it, arm64 has not. */
  config_kexec_jump: boolean = false;
  /**
   * The CPU is at the entry of a jump's image for the first time: makes the kernel that lies there, with `image.boot` and the
   * memory that its command line names (`image.region`, as a rule), and starts its boot. Set by whoever built the machine.
   */
  bootPreserved: ((image: JumpImage) => Kernel) | null = null;
  /** `kexec_jump_back_entry=` of the command line: the kernel that jumped to this one and waits; null: none does. */
  jump_back_entry: Kernel | null = null;
  /** While this kernel has jumped away: where it goes on. */
  context: JumpContext | null = null;
  #locked = false;
  #crashReserve: MemoryRange | null = null;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Sets the memory aside that `crashkernel=` names. @returns it, or null if none was asked for or it is not free */
  reserve_crashkernel(): MemoryRange | null {
    const { crashkernel } = this.#kernel.params;
    if (!crashkernel || this.#crashReserve) return this.#crashReserve;
    if (this.#kernel.mm.reserve(crashkernel.base, crashkernel.size, "crashkernel", "kexec-segment")) this.#crashReserve = crashkernel;
    return this.#crashReserve;
  }

  /**
   * Loads an image; it replaces the one loaded before. A crash image goes to its place in the crashkernel reserve now.
   * @returns 0; -EBUSY while a jump is under way; -EADDRNOTAVAIL if there is no hole (or no reserve) for it; -ENOMEM; -EINVAL for a flag that the kernel has not,
   * a jump's region that is more than half of RAM, or a blob that is no device tree
   */
  kexec_load(files: BootFiles, kind: "kexec" | "crash" = "kexec", flags: KexecFlags = {}): number {
    const preserve = flags.preserve_context ?? false;
    if (preserve && (!this.config_kexec_jump || kind === "crash")) return -EINVAL;
    // kexec_trylock: the image of a jump under way is nobody's to replace.
    if (this.#locked) return -EBUSY;
    try {
      if (preserve) return this.#loadJump(files, flags);
      return kind === "crash" ? this.#loadCrash(files) : this.#loadNormal(files);
    } catch (error) {
      if (!(error instanceof FdtError)) throw error;
      this.#kernel.printk.pr_err(`kexec: Preparing for new dtb failed: ${error.message}`);
      return -EINVAL;
    }
  }

  /** Frees the loaded image (not the crash image). */
  kexec_unload(): void {
    const image = this.kexec_image;
    this.kexec_image = null;
    if (image instanceof JumpImage) {
      // The kernel that lies in these pages, and waits there since it jumped back, is lost with them.
      if (image.segments.length > 0) stop_waiting(image.start);
      free_segments(this.#kernel, image.segments);
      return;
    }
    for (const segment of image?.segments ?? []) {
      this.#kernel.mm.free_pages(segment.source, PAGE_ALIGN(segment.contents.length), "kimage_free");
    }
  }

  /**
   * Loads the image that goes back to the kernel that jumped to this one (`kexec --load-jump-back-helper`).
   * @returns 0; -EINVAL if nobody waits, or without CONFIG_KEXEC_JUMP
   */
  kexec_load_jump_back(): number {
    const entry = this.jump_back_entry;
    if (entry === null || !this.config_kexec_jump) return -EINVAL;
    this.kexec_unload();
    this.kexec_image = jump_back_image(entry);
    return 0;
  }

  /** This kernel runs no more: nor will one that waits for it to jump back, or lies in its memory. */
  stop(): void {
    const image = this.kexec_image;
    if (image instanceof JumpImage) stop_waiting(image.start);
    stop_waiting(this.jump_back_entry);
  }

  #loadJump(files: BootFiles, region: JumpRegion): number {
    this.kexec_unload();
    const image = load_jump_image(this.#kernel, files, region);
    if (typeof image === "number") return image;
    this.kexec_image = image;
    return 0;
  }

  #loadNormal(files: BootFiles): number {
    const { mm } = this.#kernel;
    this.kexec_unload();
    const taken = [...mm.blocks()].filter((block) => block.reserved || block.kind === "early");
    const placed = placeSegments(files, mm.memory, taken, { running: this.#runningBlob });
    if (placed === null) return -EADDRNOTAVAIL;
    const avoid = placed.map((segment) => ({ base: segment.destination, size: PAGE_ALIGN(segment.contents.length) }));
    const segments: KexecSegment[] = [];
    for (const segment of placed) {
      const source = mm.alloc_pages(segment.contents.length, `kexec ${segment.name}`, "kexec-segment", { avoid });
      if (source === NO_PAGES) {
        for (const { source: pa, contents } of segments) mm.free_pages(pa, contents.length, "kimage_free");
        return -ENOMEM;
      }
      this.#kernel.platform.bus.writeBytes(source, segment.contents);
      segments.push({ ...segment, source });
    }
    this.kexec_image = { kind: "kexec", segments, boot: bootInfoOf("kexec", files, placed) };
    return 0;
  }

  /** The blob that this kernel was started with, as long as its header says. */
  get #runningBlob(): MemoryRange | undefined {
    const { base, contents } = this.#kernel.bootInfo?.dtb ?? {};
    if (base === undefined || contents === undefined) return undefined;
    return { base, size: new DataView(contents.buffer, contents.byteOffset).getUint32(FDT_HEADER.totalsize) };
  }

  #loadCrash(files: BootFiles): number {
    const reserve = this.reserve_crashkernel();
    const placed = reserve && placeSegments(files, [reserve], [], { running: this.#runningBlob, usable: reserve });
    if (!placed) return -EADDRNOTAVAIL;
    for (const segment of placed) this.#kernel.platform.bus.writeBytes(segment.destination, segment.contents);
    const segments = placed.map((segment) => ({ ...segment, source: segment.destination }));
    this.kexec_crash_image = { kind: "crash", segments, boot: bootInfoOf("crash", files, placed) };
    return 0;
  }

  /**
   * Jumps to the loaded image, all devices told first. Does not return if it succeeds, unless the image preserves the context.
   * @returns -EBUSY while another jump is under way, -EINVAL without an image; of a kexec jump, see {@link kexec_jump}
   */
  *kernel_kexec(): Coroutine<number> {
    const kernel = this.#kernel;
    const { reboot } = kernel;
    yield* reboot.lock();
    kernel.path("kernel_kexec");
    if (!this.#trylock()) {
      reboot.system_transition_mutex.unlock();
      return -EBUSY;
    }
    const image = this.kexec_image;
    if (image === null) {
      this.#locked = false;
      reboot.system_transition_mutex.unlock();
      return -EINVAL;
    }
    if (image instanceof JumpImage) {
      const error = yield* kexec_jump(kernel, image);
      this.#locked = false;
      reboot.system_transition_mutex.unlock();
      return error;
    }
    kernel.path("kexec_in_progress");
    this.kexec_in_progress = true;
    yield* reboot.kernel_restart_prepare("kexec reboot");
    reboot.migrate_to_reboot_cpu();
    reboot.syscore_shutdown();
    // migrate_to_reboot_cpu has ended hotplug, and machine_shutdown needs it once more.
    kernel.smp.cpu_hotplug_enable();
    kernel.printk.pr_notice("kexec_core: Starting new kernel");
    kernel.path("machine_shutdown");
    kernel.smp.smp_shutdown_nonboot_cpus();
    reboot.kmsg_dump();
    this.#machine_kexec(image);
    return yield* never("machine_kexec");
  }

  /** Jumps to the crash image if one is loaded: no notifier, no device_shutdown. Returns only if there is none. */
  __crash_kexec(): void {
    const image = this.kexec_crash_image;
    if (image === null || !this.#trylock()) return;
    const kernel = this.#kernel;
    kernel.path("__crash_kexec");
    kernel.path("crash_setup_regs");
    kernel.path("crash_save_vmcoreinfo");
    this.#machine_crash_shutdown();
    this.#machine_kexec(image);
  }

  /** For code that dies: the crash kernel takes over before anything else of a panic happens. Returns if there is none. */
  crash_kexec(): void {
    if (this.#kernel.params.crashKexecPostNotifiers || this.kexec_crash_image === null) return;
    this.#kernel.path("crash_kexec");
    this.__crash_kexec();
  }

  #machine_crash_shutdown(): void {
    const kernel = this.#kernel;
    kernel.path("machine_crash_shutdown");
    kernel.cpu.irqsDisabled = true;
    kernel.smp.crash_smp_send_stop();
    kernel.path("crash_save_cpu");
    kernel.path("machine_kexec_mask_interrupts");
    kernel.printk.pr_info("Starting crashdump kernel...");
  }

  /** The panic of this kernel, see {@link RebootCore.panic}. */
  *panic(message: string): Coroutine<never> {
    return yield* this.#kernel.reboot.panic(message);
  }

  /**
   * Interrupts off, segments to their destinations, and away. Devices go on while pages are copied: what they write to a
   * destination before its page comes is overwritten, what they write after that stays.
   */
  #machine_kexec(image: KexecImage): void {
    const kernel = this.#kernel;
    kernel.path("machine_kexec");
    kernel.printk.pr_info("Bye!");
    kernel.cpu.irqsDisabled = true;
    for (const segment of image.segments) if (segment.source !== segment.destination) this.#relocate(segment);
    kernel.trace.emit("kernel.jump", { from: kernel.name, to: image.kind });
    kernel.stop();
    kernel.onJump?.({ kind: image.kind, image });
  }

  #relocate(segment: KexecSegment): void {
    const { sim, platform } = this.#kernel;
    const page = new Uint8Array(PAGE_SIZE);
    for (let offset = 0; offset < segment.contents.length; offset += PAGE_SIZE) {
      const bytes = page.subarray(0, Math.min(PAGE_SIZE, segment.contents.length - offset));
      platform.bus.readBytes(segment.source + offset, bytes);
      platform.bus.writeBytes(segment.destination + offset, bytes);
      sim.advance(this.copyPageNs);
    }
  }

  /** `kexec_trylock`: one jump at a time; it is given back only by a jump that came back. */
  #trylock(): boolean {
    if (this.#locked) return false;
    this.#locked = true;
    return true;
  }
}

/** A kernel that waits after a jump, and that nobody can jump to any more, runs no more. */
function stop_waiting(kernel: Kernel | null): void {
  if (kernel !== null && kernel.kexec.context !== null) kernel.stop();
}
