// SPDX-License-Identifier: MIT
/**
 * Which SMMU stands in the machine.
 *
 * Between two commands of a qtest client no virtual time passes, so on this face every profile acknowledges registers and
 * carries out commands at once: a client that polls would wait for ever otherwise.
 */
import { type SmmuConfig, profiles } from "../../hw/index.ts";

/**
 * The profile without x-smmu-profile: everything modelled, and the Event queue's indexes also at their page-0 offsets, where
 * clients written against QEMU look for them.
 */
export const DEFAULT_PROFILE = "qtest";

const configurations: Readonly<Record<string, SmmuConfig>> = {
  [DEFAULT_PROFILE]: { ...profiles.max, name: DEFAULT_PROFILE, page0Alias: true },
  ...profiles,
};

/** The names that {@link smmuProfile} knows. */
export const profileNames: readonly string[] = Object.keys(configurations);

/** The configuration of that name, as it is on this face. @returns undefined if there is none */
export function smmuProfile(name: string): SmmuConfig | undefined {
  const config = Object.hasOwn(configurations, name) ? configurations[name] : undefined;
  return config && { ...config, timing: { ...config.timing, commandNs: 0, updateNs: 0 } };
}
