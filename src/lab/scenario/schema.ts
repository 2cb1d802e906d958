// SPDX-License-Identifier: MIT
/** The shape of a scenario file: keys, types, ranges and defaults. What fits together is checked elsewhere (check.ts). */
import * as v from "valibot";
import { CACHE_MODES, profiles } from "../../hw/index.ts";
import { MOST_FURTHER_WAYS } from "../run/chain.ts";
import {
  CLAIMS,
  CLIENT_HOOKS,
  CLIENT_KINDS,
  KDUMP_POLICIES,
  SCENARIO_WAYS_DOWN,
  SECOND_KERNELS,
  SMMU_VARIANTS,
  VERDICTS,
} from "../run/types.ts";
import { BOARD } from "../machine/board.ts";
import { placeDevices } from "./places.ts";
import { ATS_REFUSED, type FurtherWayDown, type Scenario } from "./types.ts";

/** What a driver's initcall takes, unless a scenario says otherwise: a few milliseconds are usual on a server that boots. */
export const PROBE_MS = 5;

const text = v.pipe(v.string(), v.nonEmpty("is empty"));
const flag = (otherwise: boolean) => v.optional(v.boolean(), otherwise);

function whole(least: number, most: number) {
  return v.pipe(
    v.number(),
    v.safeInteger("is not a whole number below 2^53"),
    v.minValue(least, `is less than ${least}`),
    v.maxValue(most, `is more than ${most}`),
  );
}
const address = whole(0, 2 ** 52);
const milliseconds = (otherwise: number) => v.optional(whole(0, 10_000), otherwise);

const busMasterOff = v.picklist(["drop", "hold", "reset"]);

const deviceSchema = v.strictObject({
  name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9-]{0,30}$/, "is not a node name: a small letter, then small letters, digits, hyphens")),
  kind: v.picklist(CLIENT_KINDS),
  bus: v.optional(v.picklist(["platform", "pci"])),
  hook: v.optional(v.picklist(CLIENT_HOOKS), "mainline"),
  streamId: v.optional(whole(0, 2 ** 32 - 1)),
  driver: v.optional(v.picklist(["built-in", "module", "absent"]), "built-in"),
  active: flag(true),
  linkToSmmu: flag(false),
  base: v.optional(address),
  busMasterOff: v.optional(busMasterOff),
  ats: v.optional(v.boolean()),
  atsRefused: v.optional(v.picklist(ATS_REFUSED)),
});

const machineSchema = v.strictObject({
  memory: v.optional(v.strictObject({ base: address, size: whole(0x400_0000, 2 ** 40) }), { base: BOARD.ramBase, size: BOARD.ramSize }),
  smmu: v.optional(
    v.strictObject({
      profile: v.optional(v.picklist(Object.keys(profiles)), "linux-typical"),
      base: v.optional(address, BOARD.smmuBase),
      shutdown: v.optional(v.picklist(SMMU_VARIANTS), "bypass"),
      driver: v.optional(v.picklist(["built-in", "module"]), "built-in"),
      caches: v.optional(v.picklist(CACHE_MODES), "configured"),
    }),
    {},
  ),
  pci: v.optional(v.strictObject({ busMasterOff: v.optional(busMasterOff, "drop"), aer: flag(false) })),
  devices: v.pipe(v.array(deviceSchema), v.minLength(1, "has no device")),
  smmuNode: v.optional(whole(0, 16), 0),
  resetDelayMs: milliseconds(10),
});

const claims = v.optional(v.array(v.picklist(CLAIMS)), []);

const nextKernel = v.optional(
  v.strictObject({ clientDrivers: flag(true), handoverMs: milliseconds(5), pciAts: v.optional(v.boolean()) }),
  {},
);

const furtherWay = v.strictObject({
  wayDown: v.picklist(SCENARIO_WAYS_DOWN),
  hook: v.optional(v.picklist(CLIENT_HOOKS)),
  smmuShutdown: v.optional(v.picklist(SMMU_VARIANTS)),
  beforeMs: v.optional(whole(0, 10_000)),
  next: nextKernel,
});

const fileSchema = v.strictObject({
  title: text,
  story: text,
  source: text,
  machine: machineSchema,
  kernel: v.optional(
    v.strictObject({
      fwDevlink: v.optional(v.picklist(["off", "on", "rpm"]), "rpm"),
      fwDevlinkStrict: flag(false),
      devicesKset: v.optional(v.picklist(["register", "probe-4.3"]), "register"),
      asyncShutdown: v.optional(v.picklist(["off", "v16"]), "off"),
      cpus: v.optional(whole(1, 512), 1),
      panicTimeoutSec: v.optional(whole(-1, 60), 0),
      passthrough: flag(false),
      lazy: flag(false),
      crashReserve: v.optional(v.strictObject({ mib: v.optional(whole(8, 4096)), base: v.optional(address) }), {}),
      kdumpPolicy: v.optional(v.picklist(KDUMP_POLICIES), "reset-abort"),
    }),
    {},
  ),
  boot: v.optional(v.strictObject({ probeMs: v.optional(whole(0, 1000), PROBE_MS), pagesBefore: v.optional(whole(0, 4096)) }), {}),
  workload: v.optional(
    v.strictObject({
      beforeMs: milliseconds(20),
      afterMs: milliseconds(20),
      phaseUs: v.optional(whole(0, 1_000_000)),
      frames: v.optional(
        v.strictObject({
          periodUs: v.optional(whole(1, 1_000_000), 200),
          bytes: v.optional(whole(60, 1518), 128),
          jitterPercent: v.optional(whole(0, 100), 20),
        }),
        {},
      ),
    }),
    {},
  ),
  wayDown: v.picklist(SCENARIO_WAYS_DOWN),
  next: nextKernel,
  // oxlint-disable-next-line unicorn/no-thenable -- the scenario's own key: a list, never a function
  then: v.optional(
    v.pipe(
      v.array(furtherWay),
      v.minLength(1, "has no way down"),
      v.maxLength(MOST_FURTHER_WAYS, `has more than ${MOST_FURTHER_WAYS} ways down`),
    ),
  ),
  expect: v.optional(
    v.strictObject({
      verdict: v.optional(v.picklist(VERDICTS)),
      secondKernel: v.optional(v.picklist(SECOND_KERNELS)),
      holds: claims,
      broken: claims,
    }),
    {},
  ),
});

function furtherWayOf({ hook, smmuShutdown, beforeMs, ...others }: v.InferOutput<typeof furtherWay>): FurtherWayDown {
  return {
    ...others,
    ...(hook === undefined ? {} : { hook }),
    ...(smmuShutdown === undefined ? {} : { smmuShutdown }),
    ...(beforeMs === undefined ? {} : { beforeMs }),
  };
}

/** Fills in what depends on another key: a device's bus and StreamID follow from its kind. */
export const scenarioSchema: v.GenericSchema<unknown, Scenario> = v.pipe(
  fileSchema,
  v.transform(({ machine, ...rest }): Scenario => {
    const { pci, ...others } = machine;
    const devices = placeDevices(
      machine.devices.map((device) => ({ ...device, bus: device.bus ?? (device.kind === "e1000e" ? "pci" : "platform") })),
    );
    const { verdict, secondKernel, ...claimsExpected } = rest.expect;
    const { crashReserve, ...kernel } = rest.kernel;
    const { base: reserveBase, mib } = crashReserve;
    const { pagesBefore, probeMs } = rest.boot;
    const { phaseUs, ...workload } = rest.workload;
    const { then, ...plain } = rest;
    return {
      ...plain,
      // oxlint-disable-next-line unicorn/no-thenable -- the scenario's own key: a list, never a function
      ...(then === undefined ? {} : { then: then.map(furtherWayOf) }),
      kernel: {
        ...kernel,
        crashReserve: { ...(mib === undefined ? {} : { mib }), ...(reserveBase === undefined ? {} : { base: reserveBase }) },
      },
      boot: { probeMs, ...(pagesBefore === undefined ? {} : { pagesBefore }) },
      workload: { ...workload, ...(phaseUs === undefined ? {} : { phaseUs }) },
      machine: { ...others, devices, ...(pci === undefined ? {} : { pci }) },
      expect: {
        ...claimsExpected,
        ...(verdict === undefined ? {} : { verdict }),
        ...(secondKernel === undefined ? {} : { secondKernel }),
      },
    };
  }),
);

/** The schema before the transformation, for the published JSON Schema. */
export const scenarioFileSchema: v.GenericSchema = fileSchema;
