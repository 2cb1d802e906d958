// SPDX-License-Identifier: MIT
/** Range and level-hint operands of TLBI by address: which combinations are reserved, and what the others mean (§4.4.1.1). */
import { describe, expect, test } from "vitest";
import { type SmmuConfig, profiles } from "../../../../src/hw/index.ts";
import { Runner } from "./runner.ts";
import { type CommandRow, COMMANDS, encode } from "./table.ts";

const CERROR_ILL = 1;
const { max } = profiles;
const TG_16K = 2;

interface Operands {
  readonly TTL128: number;
  readonly TG: number;
  readonly TTL: number;
  readonly NUM: number;
  readonly SCALE: number;
}

/** What an operand set means. */
interface Meaning {
  readonly tg: number;
  readonly ttl: number;
  readonly num: number;
  readonly scale: number;
  /** What the level is one of; where there is no level, or there are no 128-bit descriptors, nothing is said. */
  readonly ttl128?: boolean;
}

/** The table of §4.4.1.1: what the operands mean, or undefined where they are reserved. */
function meaning({ TG, TTL, TTL128, NUM, SCALE }: Operands, config: SmmuConfig): Meaning | undefined {
  if (!config.ril || TG === 0) return { tg: 0, ttl: 0, num: 0, scale: 0 };
  const ttl = TG === TG_16K && TTL === 1 && !config.ds ? 0 : TTL;
  const scale = config.ds ? (SCALE > 39 ? 39 : SCALE) : SCALE & 0x1f;
  if (NUM === 0 && scale === 0 && ttl === 0) return undefined;
  return { tg: TG, ttl, num: NUM, scale, ...(config.d128 && ttl !== 0 ? { ttl128: TTL128 === 1 } : {}) };
}

function* combinations(): Generator<Operands> {
  for (const TG of [0, 1, 2, 3]) {
    for (const TTL of [0, 1, 2, 3]) {
      for (const NUM of [0, 1, 2, 31])
        for (const SCALE of [0, 1, 17, 31, 32, 33, 39, 40, 63])
          for (const TTL128 of TG === 0 || TTL === 0 ? [0] : [0, 1]) yield { TG, TTL, TTL128, NUM, SCALE };
    }
  }
}

const BY_ADDRESS: readonly CommandRow[] = COMMANDS.filter(
  ({ fields, name, present }) => "TG" in fields && present(max) && name.startsWith("TLBI_"),
);

for (const config of [
  max,
  { ...max, name: "max without DS", ds: false },
  profiles["linux-typical"],
  { ...max, name: "no RIL", version: 1, ril: false, fwb: false, bbml: 0, e0pd: false, ptwnnc: false } as SmmuConfig,
]) {
  describe(`configuration ${config.name}`, () => {
    for (const command of BY_ADDRESS) {
      test(`${command.name}: 900 combinations of TG, TTL, TTL128, NUM and SCALE`, () => {
        const runner = new Runner(config);
        const wrong: string[] = [];
        for (const operands of combinations()) {
          const due = meaning(operands, config);
          const { error, calls } = runner.run(encode(command, { ...operands }));
          const found = error === 0 ? /"tg".*/u.exec(calls[0] ?? "")?.[0] : `error ${error}, ${calls.length} calls`;
          const expected = due === undefined ? `error ${CERROR_ILL}, 0 calls` : `${JSON.stringify(due).slice(1)})`;
          if (found !== expected) wrong.push(`${JSON.stringify(operands)}: ${found}, expected ${expected}`);
        }
        expect(wrong).toEqual([]);
      });
    }
  });
}

test("there are five commands by address on the Non-secure queue (§4.4.2, §4.4.3)", () => {
  expect(BY_ADDRESS.map(({ opcode }) => opcode)).toEqual([0x12, 0x13, 0x22, 0x23, 0x2a]);
});
