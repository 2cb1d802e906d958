// SPDX-License-Identifier: MIT
// How things are measured here: every subject is warmed up, then all subjects of a group take turns, round after round, so
// that what else the machine does falls on all of them alike. The median over the rounds counts, with the spread beside it;
// a ratio is the median of the ratios of the rounds, each of two neighbours in time. What was measured in different groups,
// minutes apart, is not compared.
import { setImmediate as turn } from "node:timers/promises";

/**
 * One subject.
 * @param spec.id its name in reports and for --only: group/what/axes
 * @param spec.base the id of a subject of the same group: this one is reported as a multiple of it
 * @param spec.operations of whatever is measured, in one call of `run`
 * @param spec.settle true: each sample is taken right after a run that does not count, as the programs in C do it, so that
 * it does not pay for what the subjects before it have put into the host's caches
 * @param spec.run does them. It may return (a promise of) the nanoseconds they took, if not all it did counts
 */
export function subject(spec) {
  return { unit: "operation", axes: {}, ...spec, samples: [] };
}

/**
 * Starts a watch. It gives nanoseconds: by the clock, or what the process has computed, whichever is less. The clock runs on
 * while others have the processor, which lengthens short samples many times and long ones a little; the process's time counts its
 * helpers and the reading of it. Where that time comes in ticks only the clock is left.
 */
export function watch() {
  const before = process.cpuUsage();
  const start = process.hrtime.bigint();
  return () => {
    const clock = Number(process.hrtime.bigint() - start);
    if (process.platform === "win32") return clock;
    const { user, system } = process.cpuUsage(before);
    return Math.min(clock, 1e3 * (user + system));
  };
}

async function sample({ run, operations, settle = false }) {
  // A signal or a reader that has gone is heard of between samples.
  await turn();
  if (settle) await run();
  const read = watch();
  const own = await run();
  return (own ?? read()) / operations;
}

/** Runs all subjects interleaved and fills their samples: nanoseconds per operation. */
export async function measure(subjects, { rounds, warmMs }) {
  for (const one of subjects) {
    const start = performance.now();
    for (let i = 0; i < (one.warmRuns ?? 3) || (i < 200 && performance.now() - start < warmMs && one.warmRuns === undefined); i++)
      await sample(one);
  }
  for (let round = 0; round < rounds; round++) {
    for (const one of subjects) if (round < (one.rounds ?? rounds)) one.samples.push(await sample(one));
  }
}

export function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = part * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

const least = ({ samples }) => Math.min(...samples);

/**
 * What is reported of a subject; times in nanoseconds per operation.
 * @param group the subjects that took turns with it
 */
export function summary(one, group) {
  const { id, label, unit, axes, operations, samples, bytes } = one;
  const base = group.find((other) => other.id === one.base);
  return {
    id,
    label,
    unit,
    axes,
    operations,
    rounds: samples.length,
    medianNs: quantile(samples, 0.5),
    leastNs: least(one),
    firstQuartileNs: quantile(samples, 0.25),
    thirdQuartileNs: quantile(samples, 0.75),
    ...(base === undefined ? {} : { base: base.id, multiple: ratio(one, base), leastMultiple: least(one) / least(base) }),
    ...(bytes === undefined ? {} : { bytes }),
  };
}

/** The median of how many times longer `over` took than `base` in the same round. */
export function ratio(over, base) {
  const rounds = Math.min(over.samples.length, base.samples.length);
  return quantile(
    Array.from({ length: rounds }, (_, round) => over.samples[round] / base.samples[round]),
    0.5,
  );
}
