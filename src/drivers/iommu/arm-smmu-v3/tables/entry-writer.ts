// SPDX-License-Identifier: GPL-2.0-only
/**
 * Changing a 64-byte entry that the SMMU may read at any moment, although only 64 bits can be stored at once. After Linux 7.1
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: arm_smmu_write_entry, entry_set, arm_smmu_entry_qword_diff. Left out: nothing.
 *
 * The SMMU ignores some bits in the present state and others in the target state. If all words but one can be brought to
 * their target through ignored bits, the change hinges on a single store and no transaction sees a mixture. Otherwise
 * the entry is made invalid first.
 */
import type { Coroutine } from "../../../../sim/index.ts";
import type { ArmSmmuEntry } from "./ste.ts";

const NUM_ENTRY_QWORDS = 8;
/** V is bit 0 of the STE's and bit 31 of the CD's first word: all zero is invalid in both. */
const INVALID = 0n;

/** How the entry is stored, read by the SMMU, and made known to it. */
export interface ArmSmmuEntryWriter {
  /** One word of the live entry. */
  load(index: number): bigint;
  /** Stores one word of the live entry in one piece. */
  store(index: number, value: bigint): void;
  /** The bits that the SMMU looks at in `entry`. */
  get_used(entry: ArmSmmuEntry): ArmSmmuEntry;
  /** Bits that may take either value during the change. */
  get_update_safe?(cur: ArmSmmuEntry, target: ArmSmmuEntry): ArmSmmuEntry;
  /** Returns when the SMMU sees what was stored. */
  sync(): Coroutine<void>;
}

interface QwordDiff {
  /** The present entry with every ignored bit at its target value. */
  readonly unused_update: ArmSmmuEntry;
  /** Bit i: word i cannot reach its target through ignored bits alone. */
  readonly used_qword_diff: number;
}

function arm_smmu_entry_qword_diff(writer: ArmSmmuEntryWriter, entry: ArmSmmuEntry, target: ArmSmmuEntry): QwordDiff {
  const cur_used = writer.get_used(entry);
  const target_used = writer.get_used(target);
  const safe = writer.get_update_safe?.(entry, target);
  const unused_update = new BigUint64Array(NUM_ENTRY_QWORDS);
  let used_qword_diff = 0;
  for (let i = 0; i < NUM_ENTRY_QWORDS; i++) {
    const both_safe = safe ? safe[i]! & cur_used[i]! & target_used[i]! : 0n;
    const held = cur_used[i]! & ~both_safe;
    unused_update[i] = (entry[i]! & held) | (target[i]! & ~held);
    if ((unused_update[i]! & target_used[i]!) !== target[i]!) used_qword_diff |= 1 << i;
  }
  return { unused_update, used_qword_diff };
}

function load_entry(writer: ArmSmmuEntryWriter): ArmSmmuEntry {
  const entry = new BigUint64Array(NUM_ENTRY_QWORDS);
  for (let i = 0; i < NUM_ENTRY_QWORDS; i++) entry[i] = writer.load(i);
  return entry;
}

/** Stores the words that differ, then syncs if there were any. */
function* entry_set(writer: ArmSmmuEntryWriter, target: ArmSmmuEntry, start: number, count: number): Coroutine<boolean> {
  let changed = false;
  for (let i = start; i < start + count; i++) {
    if (writer.load(i) === target[i]!) continue;
    writer.store(i, target[i]!);
    changed = true;
  }
  if (changed) yield* writer.sync();
  return changed;
}

/** Brings the live entry to `target`, hitless where that is possible. One update at a time per entry. */
export function* arm_smmu_write_entry(writer: ArmSmmuEntryWriter, target: ArmSmmuEntry): Coroutine<void> {
  const { unused_update, used_qword_diff } = arm_smmu_entry_qword_diff(writer, load_entry(writer), target);

  if (used_qword_diff === 0) {
    yield* entry_set(writer, target, 0, NUM_ENTRY_QWORDS);
    return;
  }
  if ((used_qword_diff & (used_qword_diff - 1)) === 0) {
    const critical = 31 - Math.clz32(used_qword_diff);
    unused_update[critical] = writer.load(critical);
    yield* entry_set(writer, unused_update, 0, NUM_ENTRY_QWORDS);
    yield* entry_set(writer, target, critical, 1);
    yield* entry_set(writer, target, 0, NUM_ENTRY_QWORDS);
    return;
  }
  unused_update[0] = INVALID;
  yield* entry_set(writer, unused_update, 0, 1);
  yield* entry_set(writer, target, 1, NUM_ENTRY_QWORDS - 1);
  yield* entry_set(writer, target, 0, 1);
}
