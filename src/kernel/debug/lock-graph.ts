// SPDX-License-Identifier: GPL-2.0-only
/**
 * The order of locks as it was seen, by class: which class was taken while which was held, by whom and when, and in which
 * contexts a class was taken. Knows nothing of running code.
 *
 * After Linux 7.1 kernel/locking/lockdep.c: struct lock_class, add_lock_to_list, check_noncircular, find_usage_forwards and
 * _backwards. Left out: read locks, subclasses, hashing of whole chains.
 */

/** Somebody took a lock: for a report. */
export interface LockSite {
  readonly task: string;
  /** Virtual nanoseconds. */
  readonly time: number;
  /** Names of the locks that were held then, oldest first. */
  readonly held: readonly string[];
}

/** `to` was taken while `from` was held. */
export interface Dependency extends LockSite {
  readonly from: LockClass;
  readonly to: LockClass;
}

export class LockClass {
  readonly key: string;
  readonly after: Map<LockClass, Dependency> = new Map();
  readonly before: Map<LockClass, Dependency> = new Map();
  /** Where it was first taken inside an interrupt. */
  inInterrupt: LockSite | null = null;
  /** Where it was first held with interrupts on. */
  interruptsOn: LockSite | null = null;

  constructor(key: string) {
    this.key = key;
  }
}

export function addDependency(dependency: Dependency): void {
  dependency.from.after.set(dependency.to, dependency);
  dependency.to.before.set(dependency.from, dependency);
}

/** Breadth-first from a class along its dependencies to one that is wanted. @returns the way, empty if the class itself is; null: there is none */
export function findPath(from: LockClass, way: "after" | "before", wanted: (found: LockClass) => boolean): Dependency[] | null {
  if (wanted(from)) return [];
  const cameBy = new Map<LockClass, { readonly by: Dependency; readonly last: LockClass }>();
  const queue = [from];
  for (let at = queue.shift(); at; at = queue.shift()) {
    for (const [next, by] of at[way]) {
      if (next === from || cameBy.has(next)) continue;
      cameBy.set(next, { by, last: at });
      if (wanted(next)) return wayTo(next, cameBy);
      queue.push(next);
    }
  }
  return null;
}

function wayTo(end: LockClass, cameBy: ReadonlyMap<LockClass, { readonly by: Dependency; readonly last: LockClass }>): Dependency[] {
  const way: Dependency[] = [];
  for (let step = cameBy.get(end); step; step = cameBy.get(step.last)) way.unshift(step.by);
  return way;
}
