// SPDX-License-Identifier: MIT
/** Device events of one SMMU that a hardware reset cancels all at once. */
import type { HostTimer, SmmuHost } from "../ports.ts";

export class Delays {
  readonly #host: SmmuHost;
  readonly #pending = new Set<HostTimer>();

  constructor(host: SmmuHost) {
    this.#host = host;
  }

  /** Runs `action` in `delayNs`; at once if that is 0. */
  after(delayNs: number, action: () => void): void {
    if (delayNs === 0) {
      action();
      return;
    }
    const event = this.#host.after(delayNs, () => {
      this.#pending.delete(event);
      action();
    });
    this.#pending.add(event);
  }

  cancelAll(): void {
    for (const event of this.#pending) event.cancel();
    this.#pending.clear();
  }
}
