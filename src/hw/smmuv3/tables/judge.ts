// SPDX-License-Identifier: MIT
/** Whether a structure that somebody shows us is legal, with every rule that it breaks: for decoders, never for translation. */
import { CD_RULES } from "../config/cd-rules.ts";
import { CdFields } from "../config/cd-fields.ts";
import { commandOf, type CommandWords, Operands } from "../queues/command-operands.ts";
import type { SmmuConfig } from "../config/config.ts";
import { has, implementedFeatures } from "../registers/features.ts";
import { decodeSte } from "../config/ste.ts";
import { SteFields } from "../config/ste-fields.ts";
import { STE_RULES } from "../config/ste-rules.ts";
import { checkWords } from "../../checks.ts";

/** One reason for which a structure is ILLEGAL. */
export interface Objection {
  /** Names the fields it is about. */
  readonly id: string;
  readonly text: string;
  readonly section: string;
}

const objections = (rules: readonly { readonly id: string; readonly text: string }[], section: string): Objection[] =>
  rules.map(({ id, text }) => ({ id, text, section }));

/** @param words 16 words @throws HostMisuseError for another number of words */
export function judgeSte(words: Uint32Array, config: SmmuConfig): Objection[] {
  checkWords("an STE", words, 16);
  const fields = new SteFields(words);
  if (fields.V === 0) return objections(STE_RULES.slice(0, 1), "5.2.2");
  if ((fields.Config & 4) === 0) return [];
  return objections(
    STE_RULES.filter((rule) => rule.broken(fields, config)),
    "5.2.2",
  );
}

/**
 * @param words 16 words
 * @param ste the STE that leads to this CD, 16 words
 * @throws HostMisuseError for another number of words
 */
export function judgeCd(words: Uint32Array, ste: Uint32Array, config: SmmuConfig): Objection[] {
  checkWords("a CD", words, 16);
  checkWords("the STE of a CD", ste, 16);
  const fields = new CdFields(words);
  if (fields.V === 0) return objections(CD_RULES.slice(0, 1), "5.4.2");
  const under = decodeSte(ste, 0, config, false);
  return objections(
    CD_RULES.filter((rule) => rule.broken(fields, under, config)),
    "5.4.2",
  );
}

/** @param words 4 words, as on the Non-secure Command queue @throws HostMisuseError for another number of words */
export function judgeCommand(words: CommandWords, config: SmmuConfig): Objection[] {
  checkWords("a command", words, 4);
  const command = commandOf(words);
  if (command === undefined) return [{ id: "Opcode", text: "the opcode is reserved", section: "4.1.3" }];
  const { section } = command;
  const features = implementedFeatures(config);
  const operands = new Operands(command, words);
  const found: Objection[] = [];
  for (const feature of command.needs) {
    if (!has(features, [feature])) found.push({ id: "Opcode", text: `needs ${feature}, which this SMMU has not got`, section });
  }
  for (const check of command.checks) {
    if (check === "SSec" && operands.get("SSec") !== 0) found.push({ id: check, text: "SSec is 1 on the Non-secure queue", section });
    if (check === "CS" && operands.get("CS") === 3) found.push({ id: check, text: "CS is reserved", section });
    if (check === "Resp" && operands.get("Resp") === 3) found.push({ id: check, text: "Resp is reserved", section });
    if (check === "range" && config.ril && ["NUM", "SCALE", "TTL"].every((name) => operands.get(name) === 0) && operands.get("TG") !== 0) {
      found.push({ id: "TG", text: "TG is set although NUM, SCALE and TTL are all 0: reserved", section: "4.4.1.1" });
    }
  }
  return found;
}
