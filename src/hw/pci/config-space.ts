// SPDX-License-Identifier: MIT
/**
 * 4 KiB of configuration space as bytes with masks: which bits software may write, which a written 1 clears. What a write
 * means beyond that is the function's business.
 */

export type ConfigWidth = 1 | 2 | 4;

export class ConfigSpace {
  readonly #bytes = new Uint8Array(4096);
  readonly #initial = new Uint8Array(4096);
  readonly #writable = new Uint8Array(4096);
  readonly #clearable = new Uint8Array(4096);
  /** Where a register is sticky. */
  readonly #sticky: { readonly offset: number; readonly length: number }[] = [];

  /**
   * Defines a register of `width` bytes with its value after reset.
   * @param writable bits that software may write
   * @param clearable bits that software clears by writing 1
   */
  define(offset: number, width: ConfigWidth, value: number, writable: number = 0, clearable: number = 0): void {
    put(this.#initial, offset, width, value);
    put(this.#bytes, offset, width, value);
    put(this.#writable, offset, width, writable);
    put(this.#clearable, offset, width, clearable);
  }

  /** The registers of this range keep their values unless the reset is a fundamental one (PCI Express Base, 7.4: RWS, RW1CS, ROS). */
  keep(offset: number, length: number): void {
    this.#sticky.push({ offset, length });
  }

  /** Unsigned; `offset` is a multiple of `width`. */
  read(offset: number, width: ConfigWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) value += this.#bytes[offset + i]! * 2 ** (8 * i);
    return value;
  }

  /** A write of software: only writable and clearable bits change. */
  write(offset: number, width: ConfigWidth, value: number): void {
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const byte = (value >>> (8 * i)) & 0xff;
      const writable = this.#writable[at]!;
      this.#bytes[at] = ((this.#bytes[at]! & ~writable) | (byte & writable)) & ~(byte & this.#clearable[at]!);
    }
  }

  /** A change by the hardware itself, masks aside. */
  set(offset: number, width: ConfigWidth, value: number): void {
    put(this.#bytes, offset, width, value);
  }

  /** All registers return to their values after reset, but for sticky ones if the reset is none of the machine. */
  reset(fundamental: boolean): void {
    const kept = fundamental
      ? []
      : this.#sticky.map(({ offset, length }) => ({ offset, bytes: this.#bytes.slice(offset, offset + length) }));
    this.#bytes.set(this.#initial);
    for (const { offset, bytes } of kept) this.#bytes.set(bytes, offset);
  }
}

function put(bytes: Uint8Array, offset: number, width: ConfigWidth, value: number): void {
  for (let i = 0; i < width; i++) bytes[offset + i] = value >>> (8 * i);
}
