// SPDX-License-Identifier: MIT
/** The conditions of the register and command tables, answered for one configuration. */
import type { SmmuConfig } from "../config/config.ts";
import type { SmmuFeature } from "../spec/register-types.ts";

/** All features of the tables that are implemented. Those that `validateConfig` refuses never are. */
export function implementedFeatures(config: SmmuConfig): ReadonlySet<SmmuFeature> {
  const features = new Set<SmmuFeature>();
  const add = (feature: SmmuFeature, implemented: boolean): void => {
    if (implemented) features.add(feature);
  };
  add("stage1", config.stage1);
  add("stage2", config.stage2);
  add("two-level", config.twoLevelStreamTable);
  add("substreams", config.ssidSize > 0);
  add("hyp", config.hyp);
  add("msi", config.msi);
  add("ats", config.ats);
  add("atsrecerr", config.atsRecErr);
  add("pri", config.pri);
  add("s2pi", config.s2pi);
  add("btm", config.btm);
  add("vmw", config.vmw);
  add("dormhint", config.dormhint);
  add("presets", config.presets !== undefined);
  add("stall", config.stallModel !== "terminate");
  return features;
}

/** True if all of `needs` are implemented. */
export function has(features: ReadonlySet<SmmuFeature>, needs: readonly SmmuFeature[] | undefined): boolean {
  return needs === undefined || needs.every((feature) => features.has(feature));
}
