// SPDX-License-Identifier: MIT
/** Lines that say nothing about a fault and everything about its circumstances: boots, ways down, memory, clients. */
import type { Boot } from "./types.ts";

function newBoot(index: number, how: Boot["how"]): Boot {
  return {
    index,
    how,
    takenOver: new Map(),
    commandErrors: new Map(),
    goingDown: undefined,
    ram: [],
    version: undefined,
    cmdqEntries: new Map(),
    probes: new Map(),
    attached: new Set(),
    lazy: false,
    passthrough: false,
  };
}

/** Lines that begin a way down. */
const WAY_DOWN =
  /(?:kexec_core: Starting new kernel|Starting crashdump kernel|reboot: (?:Restarting system|Power down|System halted)|sysrq: (?:Resetting|Emergency|Power Off)|systemd-shutdown|Kernel panic - not syncing)/;
const FIRST_LINE = /Booting Linux on physical CPU|^\s*Linux version \d/;
const VERSION = /\bLinux version (\d+)\.(\d+)/;
const MEMORY_NODE = /node\s+\d+: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]/;
const GROUP = /Adding to iommu group \d+/;

export class History {
  #boot = newBoot(0, "unknown");
  /** Some kernel has printed already. */
  #running = false;
  #atStart = false;

  get boot(): Boot {
    return this.#boot;
  }

  /**
   * @param device the client or SMMU that the line is about, if it names one
   * @param stamped the line has a kernel's time stamp; firmware's output has none
   */
  note(message: string, device: string | undefined, stamped: boolean): void {
    // A kernel begins with two such lines.
    const first = FIRST_LINE.test(message);
    if (first && !this.#atStart) this.#begin();
    this.#atStart = first;
    if (first || stamped) this.#running = true;
    const boot = this.#boot;
    if (WAY_DOWN.test(message)) boot.goingDown = message.trim();
    const version = VERSION.exec(message);
    if (version) boot.version = [Number(version[1]), Number(version[2])];
    const node = MEMORY_NODE.exec(message);
    if (node) boot.ram.push({ first: BigInt(`0x${node[1]!}`), last: BigInt(`0x${node[2]!}`) });
    if (GROUP.test(message) && device !== undefined) boot.attached.add(device);
    if (/DMA domain TLB invalidation policy: lazy/.test(message)) boot.lazy = true;
    if (/Default domain type: Passthrough/.test(message) || /Kernel command line:.*\biommu\.passthrough=(?:1|y|on)\b/.test(message))
      boot.passthrough = true;
    if (/Kernel command line:.*\belfcorehdr=/.test(message)) boot.how = "crash";
  }

  #begin(): void {
    if (!this.#running) return;
    const { index, goingDown = "" } = this.#boot;
    this.#boot = newBoot(
      index + 1,
      /crashdump|panic/.test(goingDown) ? "crash" : /kexec/.test(goingDown) ? "kexec" : goingDown === "" ? "unknown" : "cold",
    );
  }
}

/** Whether the kernel is of this version or later; undefined if the log does not say. */
export function isAtLeast({ version }: Boot, major: number, minor: number): boolean | undefined {
  if (version === undefined) return undefined;
  return version[0] > major || (version[0] === major && version[1] >= minor);
}

/** Seconds since the boot; undefined for wall-clock time. */
export function secondsOf(time: string | undefined): number | undefined {
  return time !== undefined && /^\d+\.\d+$/.test(time) ? Number(time) : undefined;
}
