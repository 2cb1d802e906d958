// SPDX-License-Identifier: MIT
/** What `-d guest_errors` tells: mistakes of software that the SMMU notices and does not fault. */
import { hex, hex64, type SmmuEvents } from "../../hw/index.ts";
import type { Trace } from "../../sim/index.ts";

/** Turns the SMMU's own remarks into lines. */
export function explain(trace: Trace<SmmuEvents>, line: (text: string) => void): void {
  trace.on("smmu.lint", ({ data }) => line(`${data.rule}: ${data.detail} (IHI 0070 ${data.section})`));
  trace.on("smmu.event", ({ data }) => line(`event${data.recorded ? "" : " (lost)"}: ${data.text}`));
  trace.on("smmu.gerror", ({ data }) => line(`GERROR.${data.bit} ${data.active ? "active" : "acknowledged"}`));
  trace.on("smmu.stale-use", ({ data }) =>
    line(
      `stale ${data.what}: StreamID ${hex(data.streamId)} used ${data.cached} although ${hex(data.structure)} now holds ` +
        `${data.inMemory}${data.what === "tlb" ? `, for address ${hex64(data.addressHi, data.addressLo)}` : ""}; missing ${data.missing}`,
    ),
  );
}
