// SPDX-License-Identifier: GPL-2.0-only
/** The kernel command line, parsed. Each field names the option of Linux that it stands for. */

export interface KernelParameters {
  /** `iommu.passthrough`: default domains are identity. */
  readonly iommuPassthrough: boolean;
  /** `iommu.strict`: unmapping invalidates at once. False: the flush queue does it later. */
  readonly iommuStrict: boolean;
  /** `swiotlb=force`: every streaming mapping that no IOMMU translates is bounced. */
  readonly swiotlbForce: boolean;
  /** `fw_devlink`: which device links follow from the device tree. `rpm` (the default) adds runtime PM to `on`. */
  readonly fwDevlink: "off" | "permissive" | "on" | "rpm";
  /** `fw_devlink.strict`: optional suppliers (`iommus`, `iommu-map`, `dmas`) count as mandatory. */
  readonly fwDevlinkStrict: boolean;
  /** `fw_devlink.sync_state`: whether suppliers give up waiting for consumers that never come, when probing is over. */
  readonly fwDevlinkSyncState: "strict" | "timeout";
  /**
   * `deferred_probe_timeout`, in seconds from the late initcalls or the last driver: 0 waits for nobody then, a negative one for
   * ever. Null: it is over when the last module was loaded, without a wait.
   */
  readonly deferredProbeTimeoutSec: number | null;
  /** `reset_devices`: a crash kernel's drivers reset what they find. */
  readonly resetDevices: boolean;
  /** `crashkernel`: memory kept for a crash kernel. */
  readonly crashkernel?: { readonly base: number; readonly size: number };
  /** `crash_kexec_post_notifiers`: a panic calls its notifiers before it jumps to the crash kernel. */
  readonly crashKexecPostNotifiers: boolean;
  /** `nr_cpus`, of as many CPUs as there are: the boot CPU runs everything, see smp/smp.ts. */
  readonly cpus: number;
  /** `panic_on_warn`. */
  readonly panicOnWarn: boolean;
  /** CONFIG_PROVE_LOCKING, CONFIG_DEBUG_ATOMIC_SLEEP and their like: what would be a report of a debug kernel is a warning here. */
  readonly debugChecks: boolean;
  /** `oops=panic`. */
  readonly panicOnOops: boolean;
  /** `initcall_debug`: log initcalls, probes and shutdown hooks. */
  readonly initcallDebug: boolean;
  /** `arm-smmu-v3.disable_msipolling`. */
  readonly disableMsiPolling?: boolean;
  /** CONFIG_PCI_ATS: functions may be allowed ATS, and the SMMU driver knows of it. Default: true. */
  readonly configPciAts?: boolean;
  /** `driver_async_probe`: names of drivers that probe in tasks of their own, or "*". */
  readonly asyncProbe: readonly string[];
  /** Whether devices shut down in parallel, as proposed and not merged (v16 of the series). */
  readonly asyncShutdown: "off" | "v16";
  /** Place in the list of devices: of registration as moved by links and deferral, or, as until 2018, moved to the tail at each probe. */
  readonly ksetPolicy: "register" | "probe-4.3";
  /** Options of drivers, by the driver's own names. */
  readonly driverOptions: Readonly<Record<string, unknown>>;
}

export const defaultParameters: KernelParameters = {
  iommuPassthrough: false,
  iommuStrict: true,
  swiotlbForce: false,
  fwDevlink: "rpm",
  fwDevlinkStrict: false,
  fwDevlinkSyncState: "strict",
  deferredProbeTimeoutSec: null,
  resetDevices: false,
  crashKexecPostNotifiers: false,
  cpus: 1,
  panicOnWarn: false,
  debugChecks: true,
  panicOnOops: false,
  initcallDebug: false,
  asyncProbe: [],
  asyncShutdown: "off",
  ksetPolicy: "register",
  driverOptions: {},
};
