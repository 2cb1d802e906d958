// SPDX-License-Identifier: MIT
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventHeap } from "../../src/sim/index.ts";

describe("EventHeap", () => {
  test("events come out by time, then priority, then order of insertion", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ time: fc.nat(5), priority: fc.nat(2) }), { maxLength: 60 }), (inputs) => {
        const heap = new EventHeap();
        const out: number[] = [];
        inputs.forEach((input, index) => heap.push(input.time, input.priority, () => out.push(index)));
        for (let event = heap.pop(); event; event = heap.pop()) event.fire();
        const expected = inputs
          .map((input, index) => ({ ...input, index }))
          .sort((a, b) => a.time - b.time || a.priority - b.priority || a.index - b.index)
          .map(({ index }) => index);
        expect(out).toEqual(expected);
      }),
    );
  });

  test("a cancelled event never comes out", () => {
    const heap = new EventHeap();
    const out: string[] = [];
    const first = heap.push(1, 0, () => out.push("first"));
    heap.push(2, 0, () => out.push("second"));
    first.cancel();
    expect(heap.peek()?.time).toBe(2);
    heap.pop()?.fire();
    expect(heap.pop()).toBeUndefined();
    expect(out).toEqual(["second"]);
  });

  test("an event fires once", () => {
    const heap = new EventHeap();
    let count = 0;
    const event = heap.push(0, 0, () => count++);
    event.fire();
    event.fire();
    expect(count).toBe(1);
    expect(event.pending).toBe(false);
  });
});
