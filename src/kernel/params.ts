// SPDX-License-Identifier: GPL-2.0-only
/** The kernel command line, parsed. Each field names the option of Linux that it stands for. */

export interface KernelParameters {
  /** `iommu.passthrough`: default domains are identity. */
  readonly iommuPassthrough: boolean;
  /** `fw_devlink`: which device links follow from the device tree. `rpm` (the default) adds runtime PM to `on`. */
  readonly fwDevlink: "off" | "on" | "rpm";
  /** `fw_devlink.strict`: optional suppliers (`iommus`, `iommu-map`, `dmas`) count as mandatory. */
  readonly fwDevlinkStrict: boolean;
  /** `reset_devices`: a crash kernel's drivers reset what they find. */
  readonly resetDevices: boolean;
  /** `crashkernel`: memory kept for a crash kernel. */
  readonly crashkernel?: { readonly base: number; readonly size: number };
  /** `oops=panic`. */
  readonly panicOnOops: boolean;
  /** `initcall_debug`: log initcalls, probes and shutdown hooks. */
  readonly initcallDebug: boolean;
  /** `arm-smmu-v3.disable_msipolling`. */
  readonly disableMsiPolling?: boolean;
  /** Probing is synchronous; nothing else is modelled. */
  readonly asyncProbe?: false;
  /** Devices are shut down in reverse order of registration (as moved by links and deferral). */
  readonly ksetPolicy: "register";
  /** Options of drivers, by the driver's own names. */
  readonly driverOptions: Readonly<Record<string, unknown>>;
}

export const defaultParameters: KernelParameters = {
  iommuPassthrough: false,
  fwDevlink: "rpm",
  fwDevlinkStrict: false,
  resetDevices: false,
  panicOnOops: false,
  initcallDebug: false,
  ksetPolicy: "register",
  driverOptions: {},
};
