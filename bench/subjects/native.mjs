// SPDX-License-Identifier: MIT
// What the C program measures, as subjects that take turns with ours.
import { subject } from "../measure.mjs";
import { TRACE } from "../workload.mjs";

/** @param ask the words after "run" of bench/native/main.c */
export function nativeSubject(native, id, label, ask, operations = TRACE, unit = "translation", axes = {}) {
  return subject({ id: `c/${id}`, label: `C: ${label}`, unit, axes: { native: true, ...axes }, operations, run: () => native.run(ask) });
}

export function nativeHits(native, { quick }) {
  return (quick ? [64, 1024] : [64, 1024, 65536]).flatMap((pages) => [
    nativeSubject(native, `call/${pages}`, `hit, called, ${pages} pages`, `call ${pages} rnd`, TRACE, "translation", {
      kind: "C limit",
      pages,
    }),
    nativeSubject(native, `inline/${pages}`, `hit, inlined, ${pages} pages`, `inline ${pages} rnd`),
    nativeSubject(native, `dependent/${pages}`, `hit, latency, ${pages} pages`, `dependent ${pages} rnd`),
    nativeSubject(native, `hash/${pages}`, `hash-table TLB, ${pages} pages`, `hash-hit ${pages} rnd`, TRACE, "translation", {
      kind: "hash-table TLB",
      pages,
    }),
  ]);
}

export function nativeMisses(native) {
  return [
    nativeSubject(native, "miss/1024", "miss and refill, 1K pages", "miss 1024 seq"),
    nativeSubject(native, "walk/1024", "stage-1 walk, 4 loads", "walk 1024 seq"),
    nativeSubject(native, "nested-walk/1024", "nested walk, 24 loads", "nested-walk 1024 seq"),
    nativeSubject(native, "hash-miss/1024", "hash-table TLB, miss, 1K pages", "hash-miss 1024 seq"),
  ];
}
