// SPDX-License-Identifier: MIT
/** What an Smmu is built with besides its configuration, checked: its host and its options. */
import { CACHE_MODES } from "./caches/cache-modes.ts";
import { type TranslationChoices, translationChoiceValues } from "./choices.ts";
import { type RegisterChoices, registerChoiceValues } from "./choices-registers.ts";
import type { SmmuConfig } from "./config/config.ts";
import type { SmmuHost } from "./ports.ts";
import type { SmmuOptions } from "./smmu.ts";
import { checkBoolean, checkMethods, checkNames, checkOneOf } from "../checks.ts";

const CODE = "SMMU_OPTIONS";
const HOST_METHODS: readonly (keyof SmmuHost)[] = ["now", "after", "load", "store", "peek", "pulse", "sendEvent"];
const A_HOST = `an object with ${HOST_METHODS.join(", ")}, such as createSmmuHost({ simulation, bus }) makes`;
const CHOICES: Readonly<Record<string, readonly unknown[]>> = { ...registerChoiceValues, ...translationChoiceValues };

type Choices = RegisterChoices & TranslationChoices;

/** @throws HostMisuseError naming the methods that are missing */
export function checkHost(host: SmmuHost, config: SmmuConfig): void {
  checkMethods("SMMU_HOST", "the host of an Smmu", host, HOST_METHODS, A_HOST);
  if (config.ats) checkMethods("SMMU_HOST", "the host of an Smmu with ATS", host, ["invalidateAtc"], "one with invalidateAtc, too");
}

const CHECKS: Readonly<Record<keyof SmmuOptions, (what: string, value: unknown) => void>> = {
  trace: (what, value) => checkMethods(CODE, what, value, ["wants", "emit"], "a TraceSink, such as a Trace"),
  notModelled: (what, value) => checkMethods(CODE, what, value, ["note"], "a NotModelledLog"),
  detector: (what, value) => checkBoolean(CODE, what, value),
  cacheMode: (what, value) => checkOneOf(CODE, what, value, CACHE_MODES),
  frontTier: (what, value) => checkBoolean(CODE, what, value),
  choices: (what, value) => {
    checkNames(CODE, what, value, Object.keys(CHOICES));
    for (const [id, chosen] of Object.entries(value as object))
      if (chosen !== undefined) checkOneOf(CODE, `choice ${id} of an Smmu`, chosen, CHOICES[id]!);
  },
};

/**
 * What is undefined counts as absent.
 * @throws HostMisuseError naming the option, its value and what it can be
 */
export function checkOptions(options: SmmuOptions): void {
  checkNames(CODE, "options of an Smmu", options, Object.keys(CHECKS));
  for (const [name, check] of Object.entries(CHECKS)) {
    const value = options[name as keyof SmmuOptions];
    if (value !== undefined) check(`${name} of an Smmu`, value);
  }
}

/** Choices that are made: one that is undefined is left to its default. */
export function choicesMade(choices: Partial<Choices> = {}): Partial<Choices> {
  return Object.fromEntries(Object.entries(choices).filter(([, chosen]) => chosen !== undefined));
}
