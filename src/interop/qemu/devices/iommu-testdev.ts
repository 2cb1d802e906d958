// SPDX-License-Identifier: MIT
/**
 * QEMU's iommu-testdev: writes a pattern through the SMMU to one address and reads it back past the SMMU from another.
 *
 * The DMA happens inside the read of TRIGGER; if it stalls, RESULT reads BUSY until software has answered the stall.
 * COMMAND.BME plays no part, as in QEMU.
 */
import { DmaStatus, type MmioDevice, type NotModelledLog } from "../../../hw/index.ts";
import type { Master } from "../master.ts";
import { PlainFunction } from "./plain-function.ts";

/** Register offsets in BAR0. */
export const TESTDEV = {
  TRIGGER: 0x00,
  GVA_LO: 0x04,
  GVA_HI: 0x08,
  LEN: 0x0c,
  RESULT: 0x10,
  DOORBELL: 0x14,
  ATTRS: 0x18,
  GPA_LO: 0x1c,
  GPA_HI: 0x20,
} as const;

/** What RESULT says. */
export const TESTDEV_RESULT = {
  OK: 0,
  IDLE: 0xffff_ffff,
  BUSY: 0xffff_fffe,
  BAD_LENGTH: 0xdead_0001,
  WRITE_FAILED: 0xdead_0002,
  READ_FAILED: 0xdead_0003,
  MISMATCH: 0xdead_0004,
  NOT_ARMED: 0xdead_0005,
  BAD_ATTRIBUTES: 0xdead_0006,
} as const;

const PATTERN = [0x78, 0x56, 0x34, 0x12] as const;
/** Security states as ATTRS names them. */
const SPACE_SECURE = 0;
const SPACE_NON_SECURE = 1;
const SPACE_VALID = 8;
const ATTRS_RESET = SPACE_NON_SECURE << 1;
/** Bytes moved at once; a multiple of the pattern's length. */
const CHUNK = 4096;

/** What software may simply write and read back. */
type Stored = "gvaLow" | "gvaHigh" | "length" | "result" | "attributes" | "gpaLow" | "gpaHigh";

const STORED: ReadonlyMap<number, Stored> = new Map([
  [TESTDEV.GVA_LO, "gvaLow"],
  [TESTDEV.GVA_HI, "gvaHigh"],
  [TESTDEV.LEN, "length"],
  [TESTDEV.RESULT, "result"],
  [TESTDEV.ATTRS, "attributes"],
  [TESTDEV.GPA_LO, "gpaLow"],
  [TESTDEV.GPA_HI, "gpaHigh"],
]);

const resetValues = (): Record<Stored, number> => ({
  gvaLow: 0,
  gvaHigh: 0,
  length: 0,
  result: TESTDEV_RESULT.IDLE,
  attributes: ATTRS_RESET,
  gpaLow: 0,
  gpaHigh: 0,
});

const address = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);

export class IommuTestdev extends PlainFunction {
  readonly #master: Master;
  readonly #notModelled: NotModelledLog;
  #registers = resetValues();
  #armed = false;
  /** The DMA that is under way; another one, or none, after a reset or another start. */
  #run: object | undefined;

  constructor(master: Master, notModelled: NotModelledLog) {
    const device: MmioDevice = {
      read: (offset) => this.#read(offset),
      write: (offset, _width, value) => this.#write(offset, value),
    };
    super({ name: "iommu-testdev", vendorId: 0x1b36, deviceId: 0x0005, classCode: 0x00_ff00, bar: { size: 0x1000, device }, master });
    this.#master = master;
    this.#notModelled = notModelled;
  }

  protected override resetDevice(): void {
    this.#registers = resetValues();
    this.#armed = false;
    this.#run = undefined;
  }

  #read(offset: number): number {
    if (offset === TESTDEV.TRIGGER) this.#trigger();
    const stored = STORED.get(offset);
    return stored === undefined ? 0 : this.#registers[stored];
  }

  #write(offset: number, value: number): void {
    const stored = STORED.get(offset);
    if (stored !== undefined) {
      this.#registers[stored] = value;
    } else if (offset === TESTDEV.DOORBELL) {
      this.#armed = (value & 1) !== 0;
      this.#registers.result = this.#armed ? TESTDEV_RESULT.BUSY : TESTDEV_RESULT.IDLE;
    }
  }

  #trigger(): void {
    if (!this.#armed) {
      this.#registers.result = TESTDEV_RESULT.NOT_ARMED;
      return;
    }
    this.#armed = false; // First: the read-back may hit TRIGGER itself.
    const { length, attributes } = this.#registers;
    if (length === 0) this.#registers.result = TESTDEV_RESULT.BAD_LENGTH;
    else if (!this.#attributesAgree(attributes)) this.#registers.result = TESTDEV_RESULT.BAD_ATTRIBUTES;
    else this.#writePattern({ ...this.#registers }, 0, (this.#run = {}));
  }

  #attributesAgree(attributes: number): boolean {
    const secure = (attributes & 1) !== 0;
    const space = (attributes >>> 1) & 3;
    const named = (attributes & SPACE_VALID) !== 0;
    if (named && space === SPACE_SECURE && !secure) return false;
    if (named && space === SPACE_NON_SECURE && secure) return false;
    if (secure || (named && space !== SPACE_NON_SECURE)) {
      this.#notModelled.note("DMA in another security state than Non-secure: done as Non-secure");
    }
    return true;
  }

  /** Writes from byte `start` on, as the registers were when the run began, and then checks: at once, or after a stall. */
  #writePattern(request: Readonly<Record<Stored, number>>, start: number, run: object): void {
    const { gvaLow, gvaHigh, length } = request;
    const to = address(gvaHigh, gvaLow);
    for (let done = start; done < length; done += CHUNK) {
      const bytes = Uint8Array.from({ length: Math.min(CHUNK, length - done) }, (_, i) => PATTERN[i % 4]!);
      const onCompletion = (status: DmaStatus): void => {
        if (this.#run !== run) return;
        if (status === DmaStatus.abort) this.#registers.result = TESTDEV_RESULT.WRITE_FAILED;
        else this.#writePattern(request, done + CHUNK, run);
      };
      const status = this.writeMemory(BigInt.asUintN(64, to + BigInt(done)), bytes, { onCompletion });
      if (status === DmaStatus.stalled) return;
      if (status === DmaStatus.abort) {
        this.#registers.result = TESTDEV_RESULT.WRITE_FAILED;
        return;
      }
    }
    this.#registers.result = this.#checkPattern();
  }

  #checkPattern(): number {
    const { gpaLow, gpaHigh, length } = this.#registers;
    const from = address(gpaHigh, gpaLow);
    let same = true;
    for (let done = 0; done < length; done += CHUNK) {
      const bytes = new Uint8Array(Math.min(CHUNK, length - done));
      if (this.#master.readPhysical(BigInt.asUintN(64, from + BigInt(done)), bytes) === DmaStatus.abort) return TESTDEV_RESULT.READ_FAILED;
      same &&= bytes.every((byte, i) => byte === PATTERN[i % 4]);
    }
    return same ? TESTDEV_RESULT.OK : TESTDEV_RESULT.MISMATCH;
  }
}
