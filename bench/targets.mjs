// SPDX-License-Identifier: MIT
// What is promised: figures with a target that has to hold and an aim. Ratios are those of the rounds, see measure.mjs; beside
// each stands, as "least", the ratio of the least samples, which is what a quiet machine would show.
import { quantile, ratio } from "./measure.mjs";

const least = ({ samples }) => Math.min(...samples);
const over = (a, b) => (find) => {
  const [one, other] = [find(a), find(b)];
  return one && other && { value: ratio(one, other), least: least(one) / least(other) };
};
const times = (value) => `${value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)}x`;
const percent = (value) => `${(100 * value).toFixed(0)} %`;
const perSecond = (value) => `${(value / 1e6).toFixed(1)} M/s`;
const ns = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ns`;
const timeOf = (id) => (find) => find(id) && { value: quantile(find(id).samples, 0.5), least: least(find(id)) };
const rateOf = (id) => (find) => find(id) && { value: 1e9 / quantile(find(id).samples, 0.5), least: 1e9 / least(find(id)) };

const TARGETS = [
  { label: "TLB hit, 1K random, over C called", of: over("hit/1024/rnd", "c/call/1024"), show: times, atMost: 5, aim: 3 },
  { label: "hash-table TLB over TLB hit, 64 pages", of: over("c/hash/64", "hit/64/rnd"), show: times, atLeast: 6, aim: 10 },
  { label: "hash-table TLB over TLB hit, 1K pages (256 entries: it misses)", of: over("c/hash/1024", "hit/1024/rnd"), show: times },
  { label: "hash-table TLB over stage-1 miss, 1K pages", of: over("c/hash-miss/1024", "miss/1024/seq"), show: times, atLeast: 8, aim: 15 },
  { label: "stage-1 miss over C miss and refill", of: over("miss/1024/seq", "c/miss/1024"), show: times },
  {
    label: "nested miss over C's walk of 24 loads",
    of: over("nested-miss/1024/seq", "c/nested-walk/1024"),
    show: times,
    atMost: 4,
    aim: 1,
  },
  {
    label: "nested miss, stage 2 cached, over 24 loads",
    of: over("guest-miss/1024/seq", "c/nested-walk/1024"),
    show: times,
    atMost: 4,
    aim: 1,
  },
  { label: "DMA read of 4 KiB, of C's throughput", of: over("c/dma/4096", "dma/read/4096/1024"), show: percent, atLeast: 0.7, aim: 0.85 },
  { label: "DMA read of 4 KiB over a bare copy", of: over("dma/read/4096/1024", "dma/bare/4096"), show: times },
  { label: "DMA read of 64 B, of C's throughput", of: over("c/dma/64", "dma/read/64/1024"), show: percent },
  { label: "TLBI by ASID, 64K cached", of: timeOf("tlbi/asid/65536"), show: ns, atMost: 1000, aim: 100 },
  { label: "TLBI by ASID, 64K cached over 1K cached", of: over("tlbi/asid/65536", "tlbi/asid/1024"), show: times, atMost: 3, aim: 1.2 },
  {
    label: "TLBI by ASID, 64K cached: scan of a hash table as large over ours",
    of: over("c/hash-tlbi/asid/65536", "tlbi/asid/65536"),
    show: times,
  },
  {
    label: "steps of tasks a second",
    of: rateOf("sim/step/4"),
    show: perSecond,
    atLeast: 5e6,
    aim: 20e6,
  },
  { label: "step of a task over a bare generator's", of: over("sim/step/4", "sim/bare"), show: times },
];

/** @param subjects measured ones by id, and memory as memory.mjs gives it */
export function targets(subjects, memory) {
  const find = (id) => (subjects.get(id)?.samples.length > 0 ? subjects.get(id) : undefined);
  const rows = TARGETS.flatMap(({ label, of, show, atMost, atLeast, aim }) => {
    const value = of(find);
    return value === undefined ? [] : [row(label, value.value, show, { atMost, atLeast, aim }, value.least)];
  });
  if (memory === undefined) return rows;
  return [
    ...rows,
    row("start of 16 GiB and 65,536 streams", memory.startMs, (value) => `${value.toFixed(0)} ms`, { atMost: 200 }, memory.startLeastMs),
    row("its resident memory until touched", memory.startRss / 1e6, (value) => `${value.toFixed(0)} MB`, { atMost: 150 }),
  ];
}

function row(label, value, show, { atMost, atLeast, aim }, leastValue) {
  const limit = atMost ?? atLeast;
  const word = atMost === undefined ? "at least" : "at most";
  const keeps = (bound) => (atMost === undefined ? value >= bound : value <= bound);
  return {
    label,
    value,
    shown: show(value),
    ...(leastValue === undefined ? {} : { least: leastValue, leastShown: show(leastValue) }),
    ...(limit === undefined ? {} : { target: `${word} ${show(limit)}`, met: keeps(limit) }),
    ...(aim === undefined ? {} : { aim: show(aim), aimMet: keeps(aim) }),
  };
}
