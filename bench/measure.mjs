// SPDX-License-Identifier: MIT
// How things are measured here: every subject is warmed up, then all subjects take turns, round after round, so that what
// else the machine does falls on all of them alike; the median over the rounds counts, with the spread beside it.

/** One subject: `run` does `operations` of whatever is measured. */
export function subject(name, unit, operations, run) {
  return { name, unit, operations, run, samples: [] };
}

/** Runs all subjects interleaved. @returns name, unit, median, best and worst per operation in nanoseconds */
export function measure(subjects, rounds = 15) {
  for (const { run } of subjects) for (let i = 0; i < 3; i++) run();
  for (let round = 0; round < rounds; round++) {
    for (const { run, operations, samples } of subjects) {
      const start = process.hrtime.bigint();
      run();
      samples.push(Number(process.hrtime.bigint() - start) / operations);
    }
  }
  return subjects.map(({ name, unit, samples }) => {
    const sorted = [...samples].sort((a, b) => a - b);
    return { name, unit, medianNs: sorted[sorted.length >> 1], bestNs: sorted[0], worstNs: sorted.at(-1), rounds: sorted.length };
  });
}
