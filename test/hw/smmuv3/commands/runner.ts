// SPDX-License-Identifier: MIT
/** Feeds one command after another to a register side on which nothing takes time, and says what became of each. */
import type { RegisterChoices, SmmuConfig } from "../../../../src/hw/index.ts";
import { Bench, at, command } from "../registers/bench.ts";

const LOG2 = 3;
const INDEXES = 2 ** (LOG2 + 1);

export interface Ran {
  /** CMDQ_CONS.ERR if the command was refused, 0 if it was consumed. */
  readonly error: number;
  /** What it asked of the caches. */
  readonly calls: readonly string[];
  /** What software is told about it. */
  readonly lint: readonly string[];
}

export class Runner {
  readonly bench: Bench;
  #index = 0;

  constructor(config: SmmuConfig, choices: Partial<RegisterChoices> = {}) {
    this.bench = new Bench({ ...config, timing: { commandNs: 0, updateNs: 0 } }, choices);
    this.bench.startCommands(LOG2);
  }

  run(words: readonly number[]): Ran {
    const { bench } = this;
    const index = this.#index;
    const next = (index + 1) % INDEXES;
    bench.cacheCalls.length = 0;
    bench.lint.length = 0;
    bench.putCommand(index % 2 ** LOG2, words);
    bench.w32(at.CMDQ_PROD, next);
    this.#index = next;
    const calls = [...bench.cacheCalls];
    const lint = [...bench.lint];
    const cons = bench.r32(at.CMDQ_CONS);
    if ((bench.activeErrors & 1) === 0) {
      if ((cons & 0xf_ffff) !== next) throw new Error(`neither consumed nor refused: CONS ${cons}, PROD ${next}`);
      return { error: 0, calls, lint };
    }
    // §7.1: CONS stays at the command that failed; repaired and acknowledged, the queue goes on.
    if ((cons & 0xf_ffff) !== index) throw new Error(`CONS ${cons} is not at the command that failed, ${index}`);
    bench.putCommand(index % 2 ** LOG2, command.sync(0));
    bench.w32(at.GERRORN, bench.r32(at.GERROR));
    if ((bench.r32(at.CMDQ_CONS) & 0xf_ffff) !== next) throw new Error("the queue did not go on after the error");
    return { error: (cons >>> 24) & 0x7f, calls, lint };
  }
}
