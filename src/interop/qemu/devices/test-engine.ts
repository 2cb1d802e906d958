// SPDX-License-Identifier: MIT
/**
 * SMMUv3TestEngine, the DMA engine of Arm's Fixed Virtual Platforms: 512 frames, each a bus master with a StreamID, a
 * SubstreamID and attributes of software's choice, that copies, fills or sums memory.
 *
 * The first 64 KiB hold the user frames, the second the privileged ones, frame n of each belonging together. Work is done
 * within the write of `cmd`, so software finds the frame halted at its next read; but a transaction that stalls holds its frame,
 * whose `cmd` reads as written and which takes no writes until software has answered the stall.
 */
import { type DmaAttributes, DmaStatus, type MmioDevice, type NotModelledLog } from "../../../hw/index.ts";
import type { Master } from "../master.ts";
import { fillRandom, RandomBits } from "./engine-random.ts";

/** Bytes of MMIO. */
export const TEST_ENGINE_SIZE = 0x2_0000;

/** Offsets in a user frame. */
export const USER_FRAME = {
  CMD: 0x00,
  UCTRL: 0x04,
  LAUNCHED: 0x08,
  RETURNED: 0x0c,
  MSI_ADDRESS: 0x10,
  MSI_DATA: 0x18,
  MSI_ATTR: 0x1c,
  ATTRIBUTES: 0x20,
  SEED: 0x24,
  BEGIN: 0x28,
  END_INCL: 0x30,
  STRIDE: 0x38,
  UDATA: 0x40,
} as const;

/** Offsets in a privileged frame. */
export const PRIVILEGED_FRAME = { PCTRL: 0x00, DOWNSTREAM_PORT: 0x04, STREAM_ID: 0x08, SUBSTREAM_ID: 0x0c } as const;

/** Values of `cmd`. */
export const ENGINE = {
  NO_FRAME: 0,
  HALTED: 1,
  MEMCPY: 2,
  RAND48: 3,
  SUM64: 4,
  ERROR: 0xffff_ffff,
  MISCONFIGURED: 0xffff_fffe,
} as const;

const FRAME_SIZE = 0x80;
const PAGE_SIZE = 0x1_0000;
const CHUNK = 4096n;
const UCTRL_MSI_ABORTED = 1;
const PCTRL_NON_SECURE = 1;
const PORTS = 64;
const NO_SUBSTREAM = 0xffff_ffff;
/** Bits of an attributes halfword. */
const PRIVILEGED = 0x100;
const INSTRUCTION = 0x400;
const U64_MAX = 2n ** 64n - 1n;

/** A frame at work: yields where it waits for a transaction and is told how that ended. Returns what `cmd` reads then. */
type Work<T> = Generator<undefined, T, DmaStatus>;

export class TestEngine implements MmioDevice {
  readonly #master: Master;
  readonly #notModelled: NotModelledLog;
  readonly #words = new DataView(new ArrayBuffer(TEST_ENGINE_SIZE));
  /** While a frame works all registers are closed: its own transactions, which may hit them, change nothing. */
  #running = false;
  /** The work of frames that wait for a stalled transaction, by the frame's offset. */
  readonly #waiting = new Map<number, Work<number>>();

  constructor(master: Master, notModelled: NotModelledLog) {
    this.#master = master;
    this.#notModelled = notModelled;
    this.reset();
  }

  /** All frames halted, Non-secure, without a SubstreamID. */
  reset(): void {
    this.#waiting.clear();
    for (let user = 0; user < PAGE_SIZE; user += 4) {
      const privileged = PAGE_SIZE + user;
      const offset = user % FRAME_SIZE;
      this.#set32(user, offset === USER_FRAME.CMD ? ENGINE.HALTED : 0);
      if (offset === PRIVILEGED_FRAME.PCTRL) this.#set32(privileged, PCTRL_NON_SECURE);
      else this.#set32(privileged, offset === PRIVILEGED_FRAME.SUBSTREAM_ID ? NO_SUBSTREAM : 0);
    }
  }

  read(offset: number, width: 1 | 2 | 4): number {
    if (width === 4) return this.#get32(offset);
    return width === 2 ? this.#words.getUint16(offset, true) : this.#words.getUint8(offset);
  }

  /** `cmd` takes 32-bit writes only; all else takes any width. */
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    if (this.#running) return;
    const inFrame = offset % FRAME_SIZE;
    const user = offset < PAGE_SIZE;
    if (this.#waiting.has((offset % PAGE_SIZE) - inFrame)) return;
    if (user && inFrame < USER_FRAME.UCTRL) {
      if (width === 4) this.#command(offset, value);
    } else if (!user && inFrame < PRIVILEGED_FRAME.DOWNSTREAM_PORT) {
      this.#writePctrl(inFrame, value);
    } else if (width === 4) {
      this.#set32(offset, value);
    } else if (width === 2) {
      this.#words.setUint16(offset, value, true);
    } else {
      this.#words.setUint8(offset, value);
    }
  }

  /** SSD_NS is for Secure software to change, which this machine does not have; ATS and PRI have no effect in the original. */
  #writePctrl(inFrame: number, value: number): void {
    if (inFrame === PRIVILEGED_FRAME.PCTRL && (value & PCTRL_NON_SECURE) === 0)
      this.#notModelled.note("SMMUv3TestEngine: a Secure frame (pctrl.SSD_NS = 0)");
  }

  #get32(offset: number): number {
    return this.#words.getUint32(offset, true);
  }

  #set32(offset: number, value: number): void {
    this.#words.setUint32(offset, value, true);
  }

  #get64(offset: number): bigint {
    return this.#words.getBigUint64(offset, true);
  }

  #command(frame: number, command: number): void {
    switch (command) {
      case ENGINE.NO_FRAME:
      case ENGINE.HALTED:
        this.#set32(frame, ENGINE.HALTED);
        return;
      case ENGINE.MEMCPY:
      case ENGINE.RAND48:
      case ENGINE.SUM64:
        this.#set32(frame, this.#configured(frame, command) ? command : ENGINE.MISCONFIGURED);
        if (this.#get32(frame) === command) this.#goOn(frame, this.#run(frame, command), DmaStatus.ok);
        return;
      default:
        this.#set32(frame, ENGINE.MISCONFIGURED);
    }
  }

  #configured(frame: number, command: number): boolean {
    const begin = this.#get64(frame + USER_FRAME.BEGIN);
    const end = this.#get64(frame + USER_FRAME.END_INCL);
    const stride = this.#get64(frame + USER_FRAME.STRIDE);
    const substream = this.#get32(PAGE_SIZE + frame + PRIVILEGED_FRAME.SUBSTREAM_ID);
    const port = this.#get32(PAGE_SIZE + frame + PRIVILEGED_FRAME.DOWNSTREAM_PORT);
    if (begin > end || ((begin & ~7n) === 0n && (end | 7n) === U64_MAX)) return false;
    if (stride !== 1n && (stride === 0n || stride % 8n !== 0n)) return false;
    if (command === ENGINE.SUM64 && (begin % 8n !== 0n || end % 8n !== 7n)) return false;
    return port < PORTS && (substream === NO_SUBSTREAM || substream < 2 ** 20);
  }

  /** Lets a frame work until it is done or has to wait. @param status of the transaction that it waited for */
  #goOn(frame: number, work: Work<number>, status: DmaStatus): void {
    const nested = this.#running;
    this.#running = true;
    this.#waiting.set(frame, work);
    try {
      const { done, value } = work.next(status);
      if (!done) return;
      this.#waiting.delete(frame);
      this.#set32(frame, value);
    } finally {
      this.#running = nested;
    }
  }

  *#run(frame: number, command: number): Work<number> {
    const aborted = yield* this.#work(frame, command);
    if (aborted !== undefined) this.#words.setBigUint64(frame + USER_FRAME.UDATA + 16, aborted, true);
    yield* this.#sendMsi(frame);
    return aborted === undefined ? ENGINE.HALTED : ENGINE.ERROR;
  }

  /** @returns the address of the transaction that was aborted, if one was */
  *#work(frame: number, command: number): Work<bigint | undefined> {
    const seed = this.#get32(frame + USER_FRAME.SEED);
    const begin = this.#get64(frame + USER_FRAME.BEGIN);
    const destination = command === ENGINE.MEMCPY ? this.#get64(frame + USER_FRAME.UDATA) : begin;
    let sum = 0n;
    for (const { address, length } of this.#pieces(frame, seed)) {
      const bytes = new Uint8Array(length);
      if (command === ENGINE.RAND48) fillRandom(bytes, seed, address);
      else if (!(yield* this.#transfer(frame, address, bytes, false))) return address;
      if (command === ENGINE.SUM64) {
        sum += sum64(bytes);
        continue;
      }
      const target = BigInt.asUintN(64, destination + address - begin);
      if (!(yield* this.#transfer(frame, target, bytes, true))) return target;
    }
    if (command === ENGINE.SUM64) this.#words.setBigUint64(frame + USER_FRAME.UDATA + 8, BigInt.asUintN(64, sum), true);
    return undefined;
  }

  /** The transactions of a command in the order that the seed asks for: upwards, downwards, or from either end at random. */
  *#pieces(frame: number, seed: number): Generator<{ readonly address: bigint; readonly length: number }> {
    const begin = this.#get64(frame + USER_FRAME.BEGIN);
    const end = this.#get64(frame + USER_FRAME.END_INCL);
    const stride = this.#get64(frame + USER_FRAME.STRIDE);
    const pieceAt = (index: bigint): { readonly address: bigint; readonly length: number } => {
      if (stride !== 1n) return { address: (begin & ~7n) + index * stride, length: 8 };
      const address = index === 0n ? begin : (begin / CHUNK + index) * CHUNK;
      const last = (address / CHUNK + 1n) * CHUNK - 1n;
      return { address, length: Number((last < end ? last : end) - address + 1n) };
    };
    let first = 0n;
    let last = stride === 1n ? end / CHUNK - begin / CHUNK : ((end | 7n) - 7n - (begin & ~7n)) / stride;
    const random = new RandomBits(seed);
    while (first <= last) {
      const upwards = seed === 0 || (seed !== 0xffff_ffff && random.next());
      yield pieceAt(upwards ? first++ : last--);
    }
  }

  /** One counted transaction. @returns false if it was aborted */
  *#transfer(frame: number, address: bigint, bytes: Uint8Array, write: boolean): Work<boolean> {
    const halves = this.#get32(frame + USER_FRAME.ATTRIBUTES);
    this.#count(frame + USER_FRAME.LAUNCHED);
    const status = yield* this.#access(frame, address, bytes, write, write ? halves >>> 16 : halves & 0xffff);
    this.#count(frame + USER_FRAME.RETURNED);
    return status !== DmaStatus.abort;
  }

  #count(offset: number): void {
    this.#set32(offset, this.#get32(offset) + 1);
  }

  *#access(frame: number, address: bigint, bytes: Uint8Array, write: boolean, halfword: number): Work<DmaStatus> {
    const streamId = this.#get32(PAGE_SIZE + frame + PRIVILEGED_FRAME.STREAM_ID);
    const substream = this.#get32(PAGE_SIZE + frame + PRIVILEGED_FRAME.SUBSTREAM_ID);
    const work = this.#waiting.get(frame);
    const attributes: DmaAttributes = {
      // After a reset, or another command, nobody waits for it.
      onCompletion: (status) => {
        if (work !== undefined && this.#waiting.get(frame) === work) this.#goOn(frame, work, status);
      },
      privileged: (halfword & PRIVILEGED) !== 0,
      instruction: (halfword & INSTRUCTION) !== 0,
      ...(substream === NO_SUBSTREAM ? {} : { substreamId: substream }),
    };
    const status = write
      ? this.#master.write(streamId, address, bytes, attributes)
      : this.#master.read(streamId, address, bytes, attributes);
    return status === DmaStatus.stalled ? yield : status;
  }

  /** The end of a command is announced if there is an address to announce it to. */
  *#sendMsi(frame: number): Work<void> {
    const address = this.#get64(frame + USER_FRAME.MSI_ADDRESS);
    if (address === 0n) return;
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, this.#get32(frame + USER_FRAME.MSI_DATA), true);
    const status = yield* this.#access(frame, address, bytes, true, this.#get32(frame + USER_FRAME.MSI_ATTR));
    const control = this.#get32(frame + USER_FRAME.UCTRL) & ~UCTRL_MSI_ABORTED;
    this.#set32(frame + USER_FRAME.UCTRL, control | (status === DmaStatus.abort ? UCTRL_MSI_ABORTED : 0));
  }
}

function sum64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer);
  let sum = 0n;
  for (let at = 0; at < bytes.length; at += 8) sum += view.getBigUint64(at, true);
  return sum;
}
