// SPDX-License-Identifier: MIT
/** The way of PRG Response Messages to functions: those of CMD_PRI_RESP and those that the SMMU makes by itself (IHI 0070 §8.3). */
import type { TraceSink } from "../../../sim/index.ts";
import type { PageGroupResponse } from "../../memory/ats.ts";
import type { SmmuEvents, SmmuHost } from "../ports.ts";
import { describePageResponse } from "../tables/page-requests.ts";

export class PageResponses {
  readonly #host: SmmuHost;
  readonly #trace: TraceSink<SmmuEvents>;

  constructor(host: SmmuHost, trace: TraceSink<SmmuEvents>) {
    this.#host = host;
    this.#trace = trace;
  }

  /** @param automatic no software has decided it */
  send(streamId: number, response: PageGroupResponse, automatic: boolean): void {
    const trace = this.#trace;
    if (trace.wants("smmu.page-response"))
      trace.emit("smmu.page-response", { streamId, ...response, automatic, text: describePageResponse(streamId, response) });
    this.#host.respondToPageRequest?.(streamId, response);
  }
}
