// SPDX-License-Identifier: MIT
/** The decisions of a run as they are taken: runs of equal ones, because most runs of tasks take the first alternative most of the time. */

export class DecisionLog {
  /** Pairs of a decision and how often it came in a row; the last run is not in here yet. */
  #runs = new Uint32Array(64);
  #used = 0;
  #value = 0;
  #count = 0;

  push(decision: number): void {
    if (decision === this.#value && this.#count < 0xffff_ffff) this.#count++;
    else this.#close(decision);
  }

  /** Begins a new run. */
  #close(decision: number): void {
    if (this.#count > 0) {
      if (this.#used === this.#runs.length) {
        const runs = new Uint32Array(2 * this.#used);
        runs.set(this.#runs);
        this.#runs = runs;
      }
      this.#runs[this.#used++] = this.#value;
      this.#runs[this.#used++] = this.#count;
    }
    this.#value = decision;
    this.#count = 1;
  }

  toArray(): number[] {
    const decisions: number[] = [];
    for (let at = 0; at < this.#used; at += 2) {
      for (let left = this.#runs[at + 1]!; left > 0; left--) decisions.push(this.#runs[at]!);
    }
    for (let left = this.#count; left > 0; left--) decisions.push(this.#value);
    return decisions;
  }
}
