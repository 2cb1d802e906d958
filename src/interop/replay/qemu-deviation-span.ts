// SPDX-License-Identifier: MIT
/** QEMU's reading of L1STD.Span: what lies behind the array is taken for STEs, and what they lead to may deviate further. */
import { C_BAD_STE, C_BAD_STREAMID, type Request, agrees, endsOtherwise, fault } from "./deviation-conditions.ts";
import type { Deviation, Difference, DifferenceContext } from "./difference.ts";
import type { Supposition } from "./probe.ts";

/** Spans under which an array has as many entries as the level-1 table has StreamIDs for it. */
const SPANS: readonly number[] = [7, 9, 11];

/** True if their answer is what the STE behind the array leads to: as the architecture has it, or with another deviation. */
function behindTheArray(request: Request, context: DifferenceContext, others: readonly Deviation[]): boolean {
  return SPANS.some((Span) => {
    const found: Supposition = { l1std: { Span } };
    const answer = context.suppose(found);
    if (answer.event === C_BAD_STREAMID) return false;
    if (agrees(request.answer, answer, context)) return true;
    const further: DifferenceContext = {
      ...context,
      answer,
      suppose: (supposed) => context.suppose({ ...found, ...supposed }),
      lastDescriptor: () => context.lastDescriptor(found),
    };
    const difference: Difference = { what: "translation", ours: answer, theirs: request.answer };
    return others.some((other) => other.applies(difference, further));
  });
}

/** @param others deviations that may come on top */
export function l1stdSpan(others: readonly Deviation[]): Deviation {
  return {
    id: "l1std-span",
    section: "5.1, 7.3.3",
    title: "a StreamID beyond L1STD.Span is C_BAD_STE, or finds an STE behind the array, instead of C_BAD_STREAMID",
    applies: (d, context) =>
      endsOtherwise(d, context, {
        ours: C_BAD_STREAMID,
        theirs: (request) => {
          if (!request.injected.includes("L1STD.Span=")) return [];
          return [fault(C_BAD_STE), ...(behindTheArray(request, context, others) ? [request.answer] : [])];
        },
      }),
  };
}
