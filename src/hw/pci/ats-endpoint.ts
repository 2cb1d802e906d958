// SPDX-License-Identifier: MIT
/**
 * What a function with ATS keeps and answers: its cache of translations, Invalidate Requests, page requests, and what the registers
 * of the three capabilities allow (PCI Express Base, chapter 10, 6.20).
 *
 * Invalidate Requests are processed one after the other, and what they cover is dropped when each is completed. They are completed
 * whether ATS or bus mastering is enabled or not (10.3.3, 10.3.4), and lost in a function that is reset or not in D0 (10.3.2). Those
 * beyond the depth of the queue stand on the link, and so does every message behind them.
 */
import { HostMisuseError } from "../errors.ts";
import { join64, low32, high32 } from "../bits/hex.ts";
import type {
  AtsFunction,
  InvalidateEnd,
  InvalidateRequest,
  PageGroupResponse,
  TranslationAgent,
  TranslationCompletion,
} from "../memory/ats.ts";
import { AtsStatus } from "../memory/ats.ts";
import { AddressTranslationCache, type AtcOptions } from "./address-translation-cache.ts";
import type { ConfigSpace } from "./config-space.ts";
import type { ExtendedCapabilities, ExtendedOffsets } from "./extended-capabilities.ts";
import { PageRequestInterface } from "./page-request-interface.ts";
import { ATS } from "./spec.ts";

/** How a function uses ATS, where functions differ. */
export interface AtsBehaviour {
  readonly cache?: AtcOptions;
  /** Processing of one Invalidate Request. Virtual nanoseconds, default: 0, which answers at once. */
  readonly invalidateNs?: number;
  /**
   * An access that no translation permits: it fails in the function, goes out untranslated, or waits for the page that the function
   * asks for (PRI; where that is not enabled it fails). Default: "abort".
   */
  readonly onFault?: "abort" | "untranslated" | "page-request";
  /**
   * A Translation Request that ends as Unsupported Request: the function uses no translation, old ones neither, until ENABLE goes from
   * 0 to 1 again, as Table 10-2 permits it, and goes on untranslated; or this access alone goes out untranslated, or fails.
   * Default: "disable".
   */
  readonly onUnsupported?: "disable" | "untranslated" | "abort";
  /** A Translation Request that ends as Completer Abort: the access fails, or goes out untranslated. Default: "abort". */
  readonly onCompleterAbort?: "abort" | "untranslated";
  /** From a response that says Success to the next Translation Request. Virtual nanoseconds, 1 or more. Default: 1000. */
  readonly retryNs?: number;
  /** Virtual time, as `Simulation.after`: needed with `invalidateNs` and for "page-request". */
  after?(delayNs: number, action: () => void): unknown;
}

export interface AtsEndpointOptions {
  readonly name: string;
  readonly config: ConfigSpace;
  readonly offsets: ExtendedOffsets;
  readonly capabilities: ExtendedCapabilities;
  readonly behaviour: AtsBehaviour;
  /** The function is in D0. */
  readonly powered: () => boolean;
  /** Who translates; undefined: nobody does above this function. */
  readonly agent: () => TranslationAgent | undefined;
}

/** What a request needs of a translation. */
export interface Need {
  readonly substreamId: number;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
}

/** How a part of an access goes on. `end` is the first address that this no longer says anything about. */
export type Way =
  | { readonly to: "translated"; readonly address: number; readonly end: number }
  | { readonly to: "untranslated"; readonly end: number }
  | { readonly to: "fault" }
  | { readonly to: "error" };

const SMALLEST = 12;
const NO_TRANSLATION: Pick<TranslationCompletion, "status"> = { status: AtsStatus.unsupportedRequest };

export class AtsEndpoint implements AtsFunction {
  readonly behaviour: Required<Omit<AtsBehaviour, "cache" | "after">>;
  readonly cache: AddressTranslationCache;
  /** undefined: the function has no PRI. */
  readonly pages: PageRequestInterface | undefined;
  readonly #options: AtsEndpointOptions;
  readonly #depth: number;
  #enabled = false;
  /** A Translation Request was unsupported: no translation is used until ATS is enabled again. */
  #refused = false;
  /** Invalidate Requests that were taken in, first to be processed first. */
  #accepted: { readonly request: InvalidateRequest; readonly ended: (how: InvalidateEnd) => void }[] = [];
  /** Messages that stand on the link. */
  #link: (() => void)[] = [];
  #busy = false;
  /** Counts resets, so that what was begun before one is told from what came after. */
  #life = 0;

  /** @throws HostMisuseError for a behaviour that needs what is not there */
  constructor(options: AtsEndpointOptions) {
    const { name, config, offsets, capabilities, behaviour } = options;
    const { pri, ats } = capabilities;
    const misuse = (what: string): HostMisuseError => new HostMisuseError("PCI_ATS", `${name}: ${what}`);
    const { invalidateNs = 0, retryNs = 1000, onFault = "abort" } = behaviour;
    if (!(invalidateNs >= 0)) throw misuse(`an Invalidate Request cannot take ${invalidateNs} ns`);
    if (!(retryNs >= 1)) throw misuse(`a translation is asked for again after 1 ns or more, not ${retryNs}`);
    if (onFault === "page-request" && pri === undefined) throw misuse("a function without PRI cannot ask for pages");
    if (behaviour.after === undefined && (invalidateNs > 0 || onFault === "page-request"))
      throw misuse(`${invalidateNs > 0 ? "invalidateNs" : 'onFault "page-request"'} needs after(), the virtual time`);
    this.#options = options;
    this.behaviour = {
      invalidateNs,
      retryNs,
      onFault,
      onUnsupported: behaviour.onUnsupported ?? "disable",
      onCompleterAbort: behaviour.onCompleterAbort ?? "abort",
    };
    this.cache = new AddressTranslationCache(behaviour.cache);
    this.#depth = ats?.queueDepth ?? ATS.QUEUE_DEPTH + 1;
    if (pri !== undefined) {
      this.pages = new PageRequestInterface({
        config,
        at: offsets.pri,
        capacity: pri.capacity,
        responsePasid: pri.responsePasid ?? false,
        // Messages pass whatever bus mastering says, of the function and of the ports.
        send: (request) => (options.powered() ? options.agent()?.requestPage(request) : undefined),
      });
    }
  }

  after(delayNs: number, action: () => void): void {
    const life = this.#life;
    this.#options.behaviour.after?.(delayNs, () => {
      if (life === this.#life) action();
    });
  }

  /** Translations are used: ATS is enabled and no Translation Request was unsupported since. */
  get active(): boolean {
    return this.#enabled && !this.#refused;
  }

  /** Invalidate Requests that were taken in and not completed yet. */
  get invalidatesOutstanding(): number {
    return this.#accepted.length;
  }

  /** Messages that stand on the link behind a full queue of Invalidate Requests. */
  get messagesHeldUp(): number {
    return this.#link.length;
  }

  get #unitLog2(): number {
    const { config, offsets } = this.#options;
    return SMALLEST + (config.read(offsets.ats + ATS.CONTROL, 2) & ATS.STU);
  }

  /** Where an access to this address goes: by what the cache holds, or by what the agent grants. Only while {@link active}. */
  way(address: number, need: Need): Way {
    const { substreamId, write, execute, privileged } = need;
    const held = this.cache.lookup(substreamId, privileged, address);
    const permitted = ({ write: writes, read, execute: executes }: { write: boolean; read: boolean; execute: boolean }): boolean =>
      write ? writes : read && (executes || !execute);
    if (held !== undefined && permitted(held)) {
      const end = held.base + 2 ** held.sizeLog2;
      return held.untranslatedOnly
        ? { to: "untranslated", end }
        : { to: "translated", address: held.translated + (address - held.base), end };
    }
    // Of what gives too little permission a fresh translation is asked for: nobody tells of permissions that are added (10.2.3.5).
    const unit = 2 ** this.#unitLog2;
    const page = address - (address % unit);
    const completion = this.#options.agent()?.requestTranslation({
      substreamId,
      addressHi: high32(page),
      addressLo: low32(page),
      noWrite: !write,
      execute,
      privileged,
    });
    // Less than a unit counts as Unsupported Request (10.2.3.2).
    if (completion === undefined || (completion.status === AtsStatus.success && 2 ** completion.sizeLog2 < unit))
      return this.#failed(NO_TRANSLATION, address);
    if (completion.status !== AtsStatus.success) return this.#failed(completion, address);
    if (!completion.read && !completion.write) return { to: "fault" };
    const { translatedHi, translatedLo, sizeLog2 } = completion;
    const size = 2 ** sizeLog2;
    const base = address - (address % size);
    const target = join64(translatedHi, translatedLo);
    const translated = target - (target % size);
    const { read, execute: executes, untranslatedOnly } = completion;
    // A function that knows no global invalidation makes no global entry (10.2.3.8).
    const global = completion.global && substreamId !== -1 && this.#knowsGlobal;
    const grant = { read, write: completion.write, execute: executes && read };
    this.cache.insert({ substreamId, privileged, global, base, sizeLog2, translated, ...grant, untranslatedOnly });
    if (!permitted(grant)) return { to: "fault" };
    const end = base + size;
    return untranslatedOnly ? { to: "untranslated", end } : { to: "translated", address: translated + (address - base), end };
  }

  get #knowsGlobal(): boolean {
    return this.#options.capabilities.ats?.globalInvalidate ?? false;
  }

  /** A Translation Request that ended without data. */
  #failed({ status }: Pick<TranslationCompletion, "status">, address: number): Way {
    const { onUnsupported, onCompleterAbort } = this.behaviour;
    const way = status === AtsStatus.completerAbort ? onCompleterAbort : onUnsupported;
    if (way === "abort") return { to: "error" };
    if (way === "disable") this.#refused = true;
    const page = 2 ** SMALLEST;
    return { to: "untranslated", end: address - (address % page) + page };
  }

  invalidate(request: InvalidateRequest, ended: (how: InvalidateEnd) => void): void {
    this.#arrive(() => {
      // Functions without ATS do not know the message (10.3.2).
      if (this.#options.offsets.ats === 0) return ended("unsupported-request");
      this.#accepted.push({ request, ended });
      this.#process();
    });
  }

  respond(response: PageGroupResponse): void {
    this.#arrive(() => this.pages?.respond(response));
  }

  /** A message comes down the link, behind those that stand there. */
  #arrive(message: () => void): void {
    if (!this.#options.powered()) return;
    this.#link.push(message);
    this.#drain();
  }

  #drain(): void {
    while (this.#link.length > 0 && this.#accepted.length < this.#depth) this.#link.shift()!();
  }

  #process(): void {
    const first = this.#accepted[0];
    if (first === undefined || this.#busy) return;
    this.#busy = true;
    const complete = (): void => {
      this.#busy = false;
      this.#accepted.shift();
      if (this.#options.powered()) first.ended(this.#forget(first.request));
      this.#process();
      this.#drain();
    };
    if (this.behaviour.invalidateNs === 0) complete();
    else this.after(this.behaviour.invalidateNs, complete);
  }

  /** Drops what an Invalidate Request covers (10.3.8). */
  #forget({ substreamId, global, addressHi, addressLo, sizeLog2 }: InvalidateRequest): InvalidateEnd {
    const { pasid } = this.#options.capabilities;
    // A range below a unit is rounded up (10.3.1).
    const size = Math.max(sizeLog2, this.#unitLog2);
    const address = join64(addressHi, addressLo);
    const range = { base: address - (address % 2 ** size), sizeLog2: size };
    if (substreamId === -1) {
      this.cache.invalidate({ range, matches: (entry) => entry.substreamId === -1 });
      // Entries of any PASID go at all addresses.
      this.cache.invalidate({ matches: (entry) => entry.substreamId !== -1 });
      return "completed";
    }
    if (pasid === undefined || substreamId >= 2 ** pasid.width) return "unsupported-request";
    if (global && this.#knowsGlobal) this.cache.invalidate({ range, matches: (entry) => entry.substreamId !== -1 });
    else this.cache.invalidate({ range, matches: (entry) => !entry.global && entry.substreamId === substreamId });
    return "completed";
  }

  /**
   * The function stops using a PASID: entries of it go (10.3.7), and its page requests end, with a Stop Marker or without one.
   * @param done called once, as soon as nothing of the PASID is outstanding that is not stale
   */
  stopPasid(substreamId: number, marker: boolean, done: () => void): void {
    this.cache.invalidate({ matches: (entry) => !entry.global && entry.substreamId === substreamId });
    if (this.pages === undefined) done();
    else this.pages.stop(substreamId, marker, done);
  }

  /** Software may have written the control registers. @param resetPages it wrote 1 to RESET of PRI */
  written(resetPages: boolean): void {
    const { config, offsets } = this.#options;
    const enabled = offsets.ats !== 0 && (config.read(offsets.ats + ATS.CONTROL, 2) & ATS.ENABLE) !== 0;
    if (enabled !== this.#enabled) {
      this.#enabled = enabled;
      this.#refused = false;
      // Required where ENABLE is set (10.3.7); where it is cleared nothing is used that could be kept.
      this.cache.clear();
    }
    this.pages?.written(resetPages);
  }

  /** A reset of the function, of any kind: whatever is under way is lost. */
  reset(): void {
    this.#life++;
    this.cache.clear();
    this.#enabled = false;
    this.#refused = false;
    this.#accepted = [];
    this.#busy = false;
    this.#link = [];
    this.pages?.reset();
  }
}
