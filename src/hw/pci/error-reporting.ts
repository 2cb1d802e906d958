// SPDX-License-Identifier: MIT
/**
 * What a port does when it refuses a request that came to it from below: the error that it finds, what it logs, what it tells
 * software (PCI Express Base Specification §6.2). Errors of the link itself do not happen here.
 *
 * It is the completer that finds, logs and reports the error. The requester of a read learns of it by the status of its
 * completion, and that of a posted write not at all: see PciFunction. So:
 *
 * - A read that is refused is answered with that status, which is enough for many: the port's own report is an Advisory
 *   Non-Fatal Error, a correctable one (§6.2.3.2.4.1) that is masked after reset; a port without advanced error reporting makes
 *   none. Made fatal by software, it is reported as that.
 * - A posted write that is refused is an uncorrectable error of its severity.
 */
import type { ConfigSpace } from "./config-space.ts";
import { AER, BRIDGE, BRIDGE_CONTROL_SERR, COMMAND, CONFIG, EXPRESS, SECONDARY_STATUS_RECEIVED_SYSTEM_ERROR, STATUS } from "./spec.ts";

/** A request of a function that was refused: one packet on the link. */
export interface RefusedRequest {
  readonly requesterId: number;
  /** Below 2^53. */
  readonly address: number;
  /** In bytes, 1 … 4096; of what lies in one page. */
  readonly length: number;
  readonly write: boolean;
}

const PAGE = 4096;
/** Bits of DEVCTL, each the size as log2 of so many times 128 bytes. */
const MAX_PAYLOAD_SHIFT = 5;
const MAX_READ_REQUEST_SHIFT = 12;

/**
 * The packets in which a function sends an access: none has more than DEVCTL lets it, none crosses 4 KiB (§2.2.7). Each is a request
 * of its own, and refused as one.
 * @param control DEVCTL of the function
 */
export function packetsOf(access: RefusedRequest, control: number): readonly RefusedRequest[] {
  const most = 128 << ((control >>> (access.write ? MAX_PAYLOAD_SHIFT : MAX_READ_REQUEST_SHIFT)) & 7);
  const packets: RefusedRequest[] = [];
  for (let at = 0; at < access.length; at += packets.at(-1)!.length) {
    const address = access.address + at;
    packets.push({ ...access, address, length: Math.min(most, access.length - at, PAGE - (address % PAGE)) });
  }
  return packets;
}

/** As what a request is refused: nobody takes it, or somebody takes it and may not carry it out. */
export type Refusal = "unsupported-request" | "completer-abort";

/** The message by which an error travels to the root port. */
export type ErrorMessage = "correctable" | "non-fatal" | "fatal";

const BIT: Readonly<Record<Refusal, number>> = { "unsupported-request": 1 << 20, "completer-abort": 1 << 15 };
const ADVISORY = 1 << 13;

/** The four words of a memory request's header (§2.2): three of them hold something below 4 GiB. */
export function tlpHeader({ requesterId, address, length, write }: RefusedRequest): readonly number[] {
  const high = Math.floor(address / 0x1_0000_0000);
  const low = address >>> 0;
  const first = low & 3;
  const words = Math.ceil((first + length) / 4);
  const lastBytes = (first + length) % 4 || 4;
  const firstEnable = (0xf << first) & 0xf & (words === 1 ? (1 << lastBytes) - 1 : 0xf);
  const lastEnable = words === 1 ? 0 : (1 << lastBytes) - 1;
  const format = (write ? 2 : 0) | (high === 0 ? 0 : 1);
  const front = [((format << 29) | (words & 0x3ff)) >>> 0, ((requesterId << 16) | (lastEnable << 4) | firstEnable) >>> 0];
  const aligned = (low & ~3) >>> 0;
  return high === 0 ? [...front, aligned, 0] : [...front, high, aligned];
}

/** The registers of one port that have to do with errors. */
export class ErrorReporting {
  readonly #config: ConfigSpace;
  readonly #express: number;
  /** 0: no advanced error reporting. */
  readonly #aer: number;
  readonly #interrupt: () => void;
  /** Something enabled is pending: an edge of this is an interrupt message (§6.2.4.1.2). */
  #wanted = false;

  /** @param interrupt raises the vector that ROOT_STATUS names */
  constructor(config: ConfigSpace, express: number, aer: number, interrupt: () => void) {
    this.#config = config;
    this.#express = express;
    this.#aer = aer;
    this.#interrupt = interrupt;
  }

  #set(offset: number, width: 2 | 4, bits: number): void {
    this.#config.set(offset, width, (this.#config.read(offset, width) | bits) >>> 0);
  }

  #register(offset: number): number {
    return this.#config.read(this.#aer + offset, 4);
  }

  /** What DEVCTL has reported. */
  get #control(): number {
    return this.#config.read(this.#express + EXPRESS.DEVCTL, 2);
  }

  /** COMMAND.SERR#: uncorrectable errors are reported whatever DEVCTL says. */
  get #serr(): boolean {
    return (this.#config.read(CONFIG.COMMAND, 2) & COMMAND.SERR) !== 0;
  }

  /** Finds the error of a refused request and logs it (§6.2.5). @returns the message that goes to the root port, or null */
  refuse(request: RefusedRequest, as: Refusal): ErrorMessage | null {
    const bit = BIT[as];
    const fatal = this.#aer !== 0 && (this.#register(AER.UNCORRECTABLE_SEVERITY) & bit) !== 0;
    const advisory = !request.write && !fatal;
    const unsupported = as === "unsupported-request";
    if (as === "completer-abort") this.#set(BRIDGE.SECONDARY_STATUS, 2, STATUS.SIGNALED_TARGET_ABORT);
    const found = advisory ? EXPRESS.CORRECTABLE : fatal ? EXPRESS.FATAL : EXPRESS.NON_FATAL;
    this.#set(this.#express + EXPRESS.DEVSTA, 2, found | (unsupported ? EXPRESS.UNSUPPORTED : 0));
    // Without the capability there is nothing that could mask an advisory error, and it is not reported at all.
    if (this.#aer === 0 ? advisory : !this.#log(request, bit, advisory)) return null;

    const control = this.#control;
    const serr = !advisory && this.#serr;
    const enabled = (control & found) !== 0 && (!unsupported || (control & EXPRESS.UNSUPPORTED) !== 0);
    if (!enabled && !serr) return null;
    if (serr) this.#set(CONFIG.STATUS, 2, STATUS.SIGNALED_SYSTEM_ERROR);
    return advisory ? "correctable" : fatal ? "fatal" : "non-fatal";
  }

  /** @returns false if masked */
  #log(request: RefusedRequest, bit: number, advisory: boolean): boolean {
    if (advisory) {
      this.#set(this.#aer + AER.CORRECTABLE_STATUS, 4, ADVISORY);
      if ((this.#register(AER.CORRECTABLE_MASK) & ADVISORY) !== 0) return false;
    }
    const masked = (this.#register(AER.UNCORRECTABLE_MASK) & bit) !== 0;
    if (!masked) this.#logHeader(request, bit);
    this.#set(this.#aer + AER.UNCORRECTABLE_STATUS, 4, bit);
    // An advisory error has its own mask, and that of the error itself only keeps the header out of the log.
    return advisory || !masked;
  }

  /** The first error that is not yet cleared keeps the pointer and the header (§6.2.4.2). */
  #logHeader(request: RefusedRequest, bit: number): void {
    const control = this.#register(AER.CONTROL);
    const status = this.#register(AER.UNCORRECTABLE_STATUS);
    if (((status >>> (control & AER.FIRST_ERROR)) & 1) !== 0) return;
    this.#config.set(this.#aer + AER.CONTROL, 4, ((control & ~AER.FIRST_ERROR) | (31 - Math.clz32(bit))) >>> 0);
    tlpHeader(request).forEach((word, index) => this.#config.set(this.#aer + AER.HEADER_LOG + 4 * index, 4, word));
  }

  /**
   * A message comes from below, on its way up (§6.2.6): BRIDGE_CONTROL.SERR# lets it in, and one of an uncorrectable error needs what
   * the port's own would need to get out. @returns whether it goes on
   */
  forward(message: ErrorMessage): boolean {
    if (message !== "correctable") this.#set(BRIDGE.SECONDARY_STATUS, 2, SECONDARY_STATUS_RECEIVED_SYSTEM_ERROR);
    if ((this.#config.read(BRIDGE.BRIDGE_CONTROL, 2) & BRIDGE_CONTROL_SERR) === 0) return false;
    if (message === "correctable") return true;
    const serr = this.#serr;
    if (serr) this.#set(CONFIG.STATUS, 2, STATUS.SIGNALED_SYSTEM_ERROR);
    return serr || (this.#control & (message === "fatal" ? EXPRESS.FATAL : EXPRESS.NON_FATAL)) !== 0;
  }

  /** The root port receives a message, its own or one from below (§6.2.4.1). @param source who sent it */
  receive(message: ErrorMessage, source: number): void {
    if (this.#aer === 0) return;
    const status = this.#register(AER.ROOT_STATUS);
    if (message === "correctable") {
      if ((status & AER.ROOT_CORRECTABLE) === 0) this.#config.set(this.#aer + AER.ERROR_SOURCE, 2, source);
      this.#set(
        this.#aer + AER.ROOT_STATUS,
        4,
        (status & AER.ROOT_CORRECTABLE) === 0 ? AER.ROOT_CORRECTABLE : AER.ROOT_MULTIPLE_CORRECTABLE,
      );
    } else {
      const first = (status & AER.ROOT_UNCORRECTABLE) === 0;
      const kind = message === "fatal" ? AER.ROOT_FATAL | (first ? AER.ROOT_FIRST_FATAL : 0) : AER.ROOT_NON_FATAL;
      if (first) this.#config.set(this.#aer + AER.ERROR_SOURCE + 2, 2, source);
      this.#set(this.#aer + AER.ROOT_STATUS, 4, kind | (first ? AER.ROOT_UNCORRECTABLE : AER.ROOT_MULTIPLE_UNCORRECTABLE));
    }
    this.settle();
  }

  /** Software may have cleared status or changed what is enabled. */
  settle(): void {
    if (this.#aer === 0) return;
    const enabled = this.#register(AER.ROOT_COMMAND);
    const status = this.#register(AER.ROOT_STATUS);
    const wanted =
      ((enabled & 1) !== 0 && (status & AER.ROOT_CORRECTABLE) !== 0) ||
      ((enabled & 2) !== 0 && (status & AER.ROOT_NON_FATAL) !== 0) ||
      ((enabled & 4) !== 0 && (status & AER.ROOT_FATAL) !== 0);
    const before = this.#wanted;
    this.#wanted = wanted;
    if (wanted && !before) this.#interrupt();
  }
}
