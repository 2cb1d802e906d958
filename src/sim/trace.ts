// SPDX-License-Identifier: MIT
/**
 * The trace sink: the only way in which the floors below the command line tell the outside what happens.
 *
 * A floor declares its events as an interface that maps a kind ("smmu.event") to the shape of its data, and takes a
 * `TraceSink` of that interface. Whoever builds the machine makes one `Trace` of all floors' events and hands it out.
 */

/** What a floor needs of the trace: emit an event, and ask first whether anybody listens to that kind. */
export interface TraceSink<Events extends object> {
  /** True if somebody listens: ask before building costly data. */
  wants(kind: keyof Events & string): boolean;
  emit<K extends keyof Events & string>(kind: K, data: Events[K]): void;
}

/** One traced event: `seq` counts from 0 in order of emission, `time` is virtual nanoseconds. */
export type TraceRecord<Events extends object> = {
  [K in keyof Events & string]: { readonly seq: number; readonly time: number; readonly kind: K; readonly data: Events[K] };
}[keyof Events & string];

type Listener<Events extends object> = (record: TraceRecord<Events>) => void;

/** A trace that stamps events with the virtual time and hands them to listeners in the order of their subscription. */
export class Trace<Events extends object> implements TraceSink<Events> {
  readonly #byKind = new Map<string, Listener<Events>[]>();
  readonly #all: Listener<Events>[] = [];
  #seq = 0;
  #now: () => number = () => 0;

  /** Sets the source of the time stamps: the simulation does so when it is built on this trace. */
  setClock(now: () => number): void {
    this.#now = now;
  }

  /** Calls `listener` for each event of `kind`, or of every kind for `"*"`. */
  on<K extends keyof Events & string>(kind: K, listener: (record: Extract<TraceRecord<Events>, { kind: K }>) => void): void;
  on(kind: "*", listener: Listener<Events>): void;
  on(kind: string, listener: (record: never) => void): void {
    const typed = listener as Listener<Events>;
    if (kind === "*") {
      this.#all.push(typed);
      return;
    }
    const list = this.#byKind.get(kind);
    if (list) list.push(typed);
    else this.#byKind.set(kind, [typed]);
  }

  wants(kind: keyof Events & string): boolean {
    return this.#all.length > 0 || (this.#byKind.size > 0 && this.#byKind.has(kind));
  }

  emit<K extends keyof Events & string>(kind: K, data: Events[K]): void {
    const listeners = this.#byKind.get(kind);
    if (listeners === undefined && this.#all.length === 0) {
      this.#seq++;
      return;
    }
    const record = { seq: this.#seq++, time: this.#now(), kind, data } as unknown as TraceRecord<Events>;
    if (listeners) for (const listener of listeners) listener(record);
    for (const listener of this.#all) listener(record);
  }
}

/** A sink that nobody listens to. */
export function silentTrace<Events extends object>(): TraceSink<Events> {
  return { wants: () => false, emit: () => {} };
}
