// SPDX-License-Identifier: MIT
/**
 * An Intel 82574-class network controller: the register file of BAR 0 and what ties its engines together.
 *
 * A reset by CTRL.RST returns all registers to their initial values, empties the FIFO and stops the engines; the PHY and
 * its link are left alone, as on silicon. CTRL.GIO_MASTER_DISABLE stops new requests at once, and STATUS.GIO_MASTER_ENABLE
 * clears when outstanding ones are over (`masterIdleNs`). Wake-up registers are kept and wake nothing.
 *
 * After a master abort: a write that fails is unknown to the controller, which goes on with the next frame; a read that
 * fails stops the engine that made it until a reset.
 */
import { NotModelledLog } from "../errors.ts";
import type { DmaEvents } from "../memory/dma-port.ts";
import type { AtsBehaviour } from "../pci/ats-endpoint.ts";
import type { ExtendedCapabilities } from "../pci/extended-capabilities.ts";
import { PciFunction } from "../pci/function.ts";
import type { BusMasterOff } from "../pci/bus-master-port.ts";
import type { ScheduledEvent, Simulation, TraceSink } from "../../sim/index.ts";
import type { NicCore } from "./e1000e/core.ts";
import { NicInterrupts } from "./e1000e/interrupts.ts";
import { Phy } from "./e1000e/phy.ts";
import { ReceiveEngine } from "./e1000e/receive.ts";
import {
  CAUSE,
  CTRL,
  EECD,
  EERD,
  MDIC,
  RAH_AV,
  RCTL,
  RDTR_FPD,
  REG,
  RESET_VALUES,
  STAT,
  STATUS,
  STORED,
  SWSM_SMBI,
} from "./e1000e/registers.ts";
import { TransmitEngine } from "./e1000e/transmit.ts";

/** Bytes of BAR 0. */
export const E1000E_BAR0_BYTES = 0x2_0000;

export interface E1000eOptions {
  readonly simulation: Simulation;
  readonly name: string;
  readonly trace: TraceSink<DmaEvents>;
  /** The legacy interrupt, a level: called when it changes. Without it the function has MSI-X only. */
  readonly irq?: (level: boolean) => void;
  /** Six bytes. Default: 52:54:00:12:34:56. */
  readonly macAddress?: readonly number[];
  /** Takes the frames that are sent. */
  readonly transmit?: (frame: Uint8Array) => void;
  /** Default: "drop". */
  readonly busMasterOff?: BusMasterOff;
  /** Size of the receive FIFO in bytes. Default: 20 KiB. */
  readonly rxFifoBytes?: number;
  /** From a frame's turn in the FIFO to its DMA. Default: 2 µs. */
  readonly fifoDrainNs?: number;
  /** The FIFO drains although RCTL.EN was cleared; else it is emptied. Default: true. */
  readonly drainAfterDisable?: boolean;
  /** Time to send one descriptor. Default: 1 µs. */
  readonly txDescriptorNs?: number;
  /** From CTRL.GIO_MASTER_DISABLE to STATUS.GIO_MASTER_ENABLE = 0; Infinity: it never clears. Default: 1 µs. */
  readonly masterIdleNs?: number;
  /** Duration of link negotiation. Default: 1 ms. */
  readonly linkUpNs?: number;
  /** PMCSR.No_Soft_Reset. Default: false: D3hot to D0 resets the function, configuration space too. */
  readonly noSoftReset?: boolean;
  /** Extended capabilities. Parts of the class have AER at most; ATS is what a NIC of this kind could have. Default: none. */
  readonly extended?: ExtendedCapabilities;
  /** How it uses the ATS that `extended` gives it. */
  readonly ats?: AtsBehaviour;
  readonly notModelled?: NotModelledLog;
}

const MSIX_VECTORS = 5;
const MSIX_BAR = 3;
const NVM_WORDS = 64;
/** What the words of the NVM add up to. */
const NVM_SUM = 0xbaba;
const PHY_ADDRESS = 1;
const DEFAULT_MAC = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56] as const;

/** Bits that software may write, by register number; 0 for registers that store nothing. */
const WRITE_MASKS = writeMasks();

function writeMasks(): Uint32Array {
  const masks = new Uint32Array(E1000E_BAR0_BYTES / 4);
  for (const { offset, mask, count = 1, stride = 4 } of STORED) {
    for (let i = 0; i < count; i++) masks[(offset + i * stride) >>> 2] = mask;
  }
  return masks;
}

export class E1000e extends PciFunction {
  readonly #simulation: Simulation;
  readonly #irq: ((level: boolean) => void) | undefined;
  readonly #mac: readonly number[];
  readonly #masterIdleNs: number;
  readonly #notModelled: NotModelledLog;
  readonly #registers: Uint32Array = new Uint32Array(E1000E_BAR0_BYTES / 4);
  readonly #nvm: Uint16Array;
  readonly #receive: ReceiveEngine;
  readonly #transmit: TransmitEngine;
  readonly #interrupts: NicInterrupts;
  readonly #phy: Phy;
  #masterIdle = false;
  #masterEvent: ScheduledEvent | null = null;
  #level = false;
  #driven = false;

  constructor(options: E1000eOptions) {
    super({
      name: options.name,
      trace: options.trace,
      identity: { vendorId: 0x8086, deviceId: 0x10d3, classCode: 0x020000, subsystemVendorId: 0x8086, subsystemId: 0 },
      bars: [
        {
          index: 0,
          size: E1000E_BAR0_BYTES,
          device: { read: (offset) => this.#readRegister(offset), write: (offset, _width, value) => this.#writeRegister(offset, value) },
        },
      ],
      msix: { vectors: MSIX_VECTORS, bar: MSIX_BAR },
      busMasterOff: options.busMasterOff ?? "drop",
      noSoftReset: options.noSoftReset ?? false,
      interruptPin: options.irq !== undefined,
      ...(options.extended ? { extended: options.extended } : {}),
      ...(options.ats ? { ats: options.ats } : {}),
    });
    this.#simulation = options.simulation;
    this.#irq = options.irq;
    this.#mac = options.macAddress ?? DEFAULT_MAC;
    this.#masterIdleNs = options.masterIdleNs ?? 1000;
    this.#notModelled = options.notModelled ?? new NotModelledLog();
    this.#nvm = nvm(this.#mac);
    this.#interrupts = new NicInterrupts({
      get: (offset) => this.#registers[offset >>> 2]!,
      msixEnabled: () => this.msixEnabled,
      raiseMsix: (vector) => this.raiseMsix(vector),
      setLevel: (on) => this.#setLevel(on),
      mayAccess: () => !this.masterDisabled,
    });
    const core = this.#core();
    this.#receive = new ReceiveEngine(core, {
      fifoBytes: options.rxFifoBytes ?? 20 * 1024,
      drainNs: options.fifoDrainNs ?? 2000,
      drainAfterDisable: options.drainAfterDisable ?? true,
    });
    this.#transmit = new TransmitEngine(core, {
      descriptorNs: options.txDescriptorNs ?? 1000,
      transmit: options.transmit ?? (() => {}),
      notModelled: this.#notModelled,
    });
    this.#phy = new Phy(options.simulation, options.linkUpNs ?? 1_000_000, () => {
      this.#interrupts.raise(CAUSE.LSC);
      this.#kick();
    });
    this.resetDevice();
  }

  #core(): NicCore {
    const registers = this.#registers;
    const phyLink = (): boolean => this.#phy.linkUp;
    return {
      simulation: this.#simulation,
      dma: this.dma,
      get: (offset) => registers[offset >>> 2]!,
      set: (offset, value) => {
        registers[offset >>> 2] = value;
      },
      mayAccess: () => !this.masterDisabled,
      raise: (causes) => this.#interrupts.raise(causes),
      receiveWrittenBack: () => this.#interrupts.receiveWrittenBack(),
      count: (offset, amount = 1) => {
        registers[offset >>> 2] = Math.min(registers[offset >>> 2]! + amount, 0xffff_ffff);
      },
      get linkUp() {
        return phyLink();
      },
    };
  }

  /** Aborted reads since the controller was built; the first of an engine stops it until a reset. */
  get fatalErrors(): { readonly receive: number; readonly transmit: number } {
    return { receive: this.#receive.fatalErrors, transmit: this.#transmit.fatalErrors };
  }

  /** Aborted writes since the controller was built. Writes are posted: the controller does not learn of them and goes on. */
  get lostWrites(): { readonly receive: number; readonly transmit: number } {
    return { receive: this.#receive.lostWrites, transmit: this.#transmit.lostWrites };
  }

  /** Frames accepted whose DMA is still to come. */
  get framesInFifo(): number {
    return this.#receive.framesInFifo;
  }

  /** CTRL.GIO_MASTER_DISABLE is set: no new request goes out. */
  get masterDisabled(): boolean {
    return (this.#registers[REG.CTRL >>> 2]! & CTRL.GIO_MASTER_DISABLE) !== 0;
  }

  /**
   * A frame arrives from the wire, without its check sequence.
   * @returns whether it entered the FIFO: reception is on, the link is up, the filters match and there is room
   */
  receive(frame: Uint8Array): boolean {
    return this.#receive.receive(frame);
  }

  protected override resetDevice(): void {
    this.#masterEvent?.cancel();
    this.#masterEvent = null;
    this.#masterIdle = false;
    this.#registers.fill(0);
    for (const [offset, value] of RESET_VALUES) this.#registers[offset >>> 2] = value;
    const mac = this.#mac;
    this.#registers[REG.RAL >>> 2] = mac[0]! | (mac[1]! << 8) | (mac[2]! << 16) | (mac[3]! << 24);
    this.#registers[REG.RAH >>> 2] = mac[4]! | (mac[5]! << 8) | RAH_AV;
    this.#receive.reset();
    this.#transmit.reset();
    this.#interrupts.reset();
  }

  protected override busMasterChanged(on: boolean): void {
    if (on) this.#kick();
  }

  protected override configChanged(): void {
    this.#interrupts.update();
    this.#driveLevel();
  }

  #kick(): void {
    this.#receive.kick();
    this.#transmit.kick();
  }

  #setLevel(on: boolean): void {
    this.#level = on;
    this.#driveLevel();
  }

  #driveLevel(): void {
    const driven = this.#level && this.intxAllowed;
    if (driven === this.#driven) return;
    this.#driven = driven;
    this.#irq?.(driven);
  }

  #readRegister(offset: number): number {
    const index = offset >>> 2;
    const value = this.#registers[index] ?? 0;
    if (offset >= STAT.FIRST && offset <= STAT.LAST) {
      this.#registers[index] = 0;
      return value;
    }
    switch (offset) {
      case REG.STATUS:
        return (
          (this.#phy.linkUp ? STATUS.LINK_UP : 0) |
          STATUS.FULL_DUPLEX |
          STATUS.SPEED_1000 |
          (this.#masterIdle ? 0 : STATUS.GIO_MASTER_ENABLE)
        );
      case REG.ICR:
        return this.#interrupts.readCauses();
      case REG.IMS:
        return this.#interrupts.mask;
      case REG.SWSM:
        // A read takes the semaphore: it returns 0 to the one who got it.
        this.#registers[index] = value | SWSM_SMBI;
        return value;
      default:
        return value;
    }
  }

  #writeRegister(offset: number, value: number): void {
    const index = offset >>> 2;
    switch (offset) {
      case REG.CTRL:
        this.#control(value);
        return;
      case REG.ICR:
        this.#interrupts.clearCauses(value);
        return;
      case REG.ICS:
        this.#interrupts.raise(value);
        return;
      case REG.IMS:
        this.#interrupts.enable(value);
        return;
      case REG.IMC:
        this.#interrupts.disable(value);
        return;
      case REG.MDIC:
        this.#registers[index] = this.#managementFrame(value);
        return;
      case REG.EERD:
        if ((value & EERD.START) !== 0)
          this.#registers[index] = ((this.#nvm[(value >>> 2) % NVM_WORDS]! << 16) | (value & 0xfffc) | EERD.DONE) >>> 0;
        return;
      case REG.EECD:
        this.#registers[index] = EECD.PRESENT | EECD.AUTO_READ_DONE | (value & EECD.REQUEST ? EECD.REQUEST | EECD.GRANT : 0);
        return;
      case REG.SWSM:
        this.#registers[index] = value & 0xf;
        return;
      case REG.WUS:
        this.#registers[index]! &= ~value;
        return;
    }
    if (offset >= STAT.FIRST && offset <= STAT.LAST) return;
    const mask = WRITE_MASKS[index] ?? 0;
    if (mask === 0) {
      this.#notModelled.note(`82574 register at 0x${offset.toString(16).padStart(5, "0")}`);
      return;
    }
    const before = this.#registers[index]!;
    this.#registers[index] = value & mask;
    this.#written(offset, before, value);
  }

  /** A stored register was written: what follows from it. */
  #written(offset: number, before: number, value: number): void {
    switch (offset) {
      case REG.RCTL:
        if ((before & ~value & RCTL.EN) !== 0) this.#receive.disabled();
        this.#receive.controlChanged();
        return;
      case REG.RXDCTL:
        this.#receive.controlChanged();
        return;
      case REG.RDTR:
        if ((value & RDTR_FPD) !== 0) this.#receive.flushDescriptors();
        return;
      case REG.RDBAL:
      case REG.RDBAH:
      case REG.RDLEN:
      case REG.RDH:
        this.#receive.ringChanged();
        return;
      case REG.RDT:
        this.#receive.descriptorsAdded();
        return;
      case REG.TDBAL:
      case REG.TDBAH:
      case REG.TDLEN:
      case REG.TDH:
        this.#transmit.ringChanged();
        return;
      case REG.TDT:
      case REG.TXDCTL:
      case REG.TCTL:
        this.#transmit.kick();
        return;
      case REG.IVAR:
      case REG.EIAC:
      case REG.CTRL_EXT:
        this.#interrupts.update();
        return;
    }
  }

  #control(value: number): void {
    if ((value & CTRL.PHY_RST) !== 0) this.#phy.reset();
    if ((value & CTRL.RST) !== 0) {
      this.internalReset();
      return;
    }
    const wasDisabled = this.masterDisabled;
    this.#registers[REG.CTRL >>> 2] = value & ~CTRL.PHY_RST;
    if (this.masterDisabled === wasDisabled) return;
    this.#masterEvent?.cancel();
    this.#masterEvent = null;
    if (wasDisabled) {
      this.#masterIdle = false;
      this.#interrupts.update();
      this.#kick();
    } else if (this.#masterIdleNs !== Infinity) {
      this.#masterEvent = this.#simulation.after(this.#masterIdleNs, () => {
        this.#masterIdle = true;
      });
    }
  }

  /** MDIC: reads or writes a PHY register at once; another PHY than the one there is gives an error. */
  #managementFrame(value: number): number {
    const register = (value >>> 16) & 0x1f;
    const operation = (value >>> 26) & 3;
    let result = (value & ~(MDIC.READY | MDIC.ERROR)) | MDIC.READY;
    if (((value >>> 21) & 0x1f) !== PHY_ADDRESS) result |= MDIC.ERROR;
    else if (operation === MDIC.OP_WRITE) this.#phy.write(register, value & 0xffff);
    else if (operation === MDIC.OP_READ) result = (result & ~0xffff) | this.#phy.read(register);
    if ((value & MDIC.INTERRUPT) !== 0) this.#interrupts.raise(CAUSE.MDAC);
    return result >>> 0;
  }
}

/** An NVM with the address in words 0 to 2 and the checksum in the last word. */
function nvm(mac: readonly number[]): Uint16Array {
  const words = new Uint16Array(NVM_WORDS);
  for (let i = 0; i < 3; i++) words[i] = mac[2 * i]! | (mac[2 * i + 1]! << 8);
  words[NVM_WORDS - 1] = NVM_SUM - words.reduce((sum, value) => sum + value, 0);
  return words;
}
