// SPDX-License-Identifier: MIT
/** The allowed results of the small machine, by the histories of its STEs, CDs, tables and translations. */
import { History } from "./history.ts";
import { PAGES, type Result } from "./machine.ts";

/** What an STE says, as far as this machine varies it. */
export type SteState = "translate" | "bypass" | "abort" | "invalid";

/** What a CD says: which root, under which ASID; or nothing valid. */
export interface CdState {
  readonly root: number;
  readonly asid: number;
  readonly valid: boolean;
}

export const ASIDS = [1, 2] as const;

/** Memory as it is: the truth. */
export interface Memory {
  readonly stes: SteState[];
  readonly cds: CdState[];
  /** Which last-level table each root leads to. */
  readonly links: number[];
  /** Outputs by table and page; undefined: invalid. */
  readonly leaves: (number | undefined)[][];
}

const FAULT = "F_TRANSLATION";

/** Maintenance that was commanded and not yet waited for. */
interface Pending {
  readonly since: number;
  readonly complete: (since: number) => void;
}

export class Allowed {
  readonly memory: Memory;
  #now = 0;
  readonly #stes: History<SteState>[];
  readonly #cds: History<CdState>[];
  /** Last-level tables by ASID: what a walk cache may hold. */
  readonly #tables = new Map<number, History<number>>(ASIDS.map((asid) => [asid, new History<number>()]));
  /** Outputs by ASID and page: what a TLB may hold. */
  readonly #outputs = new Map<number, History<number>[]>(ASIDS.map((asid) => [asid, PAGES.map(() => new History<number>())]));
  #pending: Pending[] = [];

  constructor(memory: Memory) {
    this.memory = memory;
    this.#stes = memory.stes.map(() => new History<SteState>());
    this.#cds = memory.cds.map(() => new History<CdState>());
    this.step();
  }

  /** Something has happened: whatever is reachable now may be cached now. */
  step(): void {
    this.#now++;
    const { stes, cds } = this.memory;
    stes.forEach((ste, sid) => this.#stes[sid]!.readable(ste, this.#now));
    cds.forEach((cd, sid) => {
      // CDs are reached through an STE that says so; one that may be cached is enough (§3.21.3).
      if (this.#stes[sid]!.values.includes("translate")) this.#cds[sid]!.readable(cd, this.#now);
    });
    for (const [, cd] of this.#usableCds()) this.#tables.get(cd.asid)!.readable(this.memory.links[cd.root]!, this.#now);
    for (const asid of ASIDS)
      for (const table of this.#tables.get(asid)!.values)
        PAGES.forEach((_, page) => {
          const output = this.memory.leaves[table]![page];
          // Faults are never cached (§3.17).
          if (output !== undefined) this.#outputs.get(asid)![page]!.readable(output, this.#now);
        });
  }

  /** CDs that may be in use, with their streams. */
  #usableCds(): [sid: number, cd: CdState][] {
    return this.#cds.flatMap((history, sid) => history.values.filter(({ valid }) => valid).map((cd): [number, CdState] => [sid, cd]));
  }

  results(sid: number, page: number): ReadonlySet<Result> {
    return new Set(this.#stes[sid]!.values.flatMap((ste) => this.#byCd(ste, sid, page)));
  }

  #byCd(ste: SteState, sid: number, page: number): Result[] {
    if (ste === "invalid") return ["C_BAD_STE"];
    if (ste === "abort") return ["abort"];
    if (ste === "bypass") return [PAGES[page]!];
    return this.#cds[sid]!.values.flatMap((cd): Result[] => {
      if (!cd.valid) return ["C_BAD_CD"];
      const outputs = this.#outputs.get(cd.asid)![page]!.values;
      const faults = this.#tables.get(cd.asid)!.values.some((table) => this.memory.leaves[table]![page] === undefined);
      return [...outputs, ...(faults ? [FAULT] : [])];
    });
  }

  // Maintenance. Each takes effect between the command and the CMD_SYNC.

  #command(complete: (since: number) => void): void {
    this.#pending.push({ since: this.#now, complete });
  }

  cfgiSte(sid: number): void {
    this.#command((since) => {
      this.#stes[sid]!.completed(since);
      this.#cds[sid]!.completed(since);
    });
  }

  cfgiCd(sid: number): void {
    this.#command((since) => this.#cds[sid]!.completed(since));
  }

  cfgiAll(): void {
    for (const sid of this.#stes.keys()) this.cfgiSte(sid);
  }

  tlbiVa(asid: number, page: number, leaf: boolean): void {
    this.#command((since) => {
      if (!leaf) this.#tables.get(asid)!.completed(since);
      this.#outputs.get(asid)![page]!.completed(since);
    });
  }

  tlbiAsid(asid: number): void {
    this.#command((since) => {
      this.#tables.get(asid)!.completed(since);
      for (const history of this.#outputs.get(asid)!) history.completed(since);
    });
  }

  tlbiAll(): void {
    for (const asid of ASIDS) this.tlbiAsid(asid);
  }

  sync(): void {
    for (const { since, complete } of this.#pending) complete(since);
    this.#pending = [];
  }

  /** The result without any cache. */
  fresh(sid: number, page: number): Result {
    const { stes, cds, links, leaves } = this.memory;
    const ste = stes[sid]!;
    if (ste !== "translate") return ste === "invalid" ? "C_BAD_STE" : ste === "abort" ? "abort" : PAGES[page]!;
    const cd = cds[sid]!;
    return cd.valid ? (leaves[links[cd.root]!]![page] ?? FAULT) : "C_BAD_CD";
  }
}
