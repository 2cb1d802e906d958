// SPDX-License-Identifier: MIT
/**
 * Drivers of Linux 7.1 for what stands in the device trees of systems with an SMMU: facts read from its sources. Whether a
 * driver is built in is what arch/arm64/configs/defconfig says; where that says nothing of it, it counts as a module.
 */
import type { InitcallLevel } from "../../kernel/index.ts";

/** Where these facts are from. */
export const DRIVER_TABLE_LINUX = "7.1";

export interface DriverFacts {
  /** The name that the driver registers under, or its module's where two share one. */
  readonly name: string;
  /** Compatible strings, and for PCI what Linux derives from a function's ids: `pci8086,10d3`, `pciclass,0108`. */
  readonly compatible: readonly string[];
  /** Its directory below drivers/, which has a place in drivers/Makefile. */
  readonly directory: keyof typeof MAKEFILE_LINES;
  readonly initcall: InitcallLevel;
  /** It has a ->shutdown. What its bus does besides is not counted. */
  readonly shutdown: boolean;
  readonly module: boolean;
  /** Absent: an ordinary device. */
  readonly role?: "smmu-v3" | "smmu" | "pci-host";
}

/** Lines of directories in drivers/Makefile: the order of initcalls of one level. */
export const MAKEFILE_LINES = {
  bus: 11,
  phy: 13,
  pinctrl: 16,
  gpio: 17,
  leds: 21,
  pci: 23,
  video: 27,
  clk: 40,
  dma: 43,
  soc: 46,
  pmdomain: 47,
  virtio: 49,
  regulator: 54,
  reset: 57,
  tty: 61,
  iommu: 65,
  gpu: 68,
  nvme: 84,
  ata: 85,
  mtd: 87,
  spi: 88,
  net: 92,
  usb: 106,
  input: 114,
  rtc: 115,
  i2c: 116,
  power: 120,
  watchdog: 123,
  mmc: 132,
  ufs: 133,
  firmware: 136,
  crypto: 138,
  mailbox: 156,
  perf: 174,
  "hwtracing/coresight": 177,
} as const;

type Build = "y" | "m";

function row(
  name: string,
  directory: DriverFacts["directory"],
  initcall: InitcallLevel,
  hook: "hook" | "no hook",
  build: Build,
  ...compatible: string[]
): DriverFacts {
  return { name, compatible, directory, initcall, shutdown: hook === "hook", module: build === "m" };
}

/** In the order of their directories. */
export const DRIVER_TABLE: readonly DriverFacts[] = [
  row("simple-pm-bus", "bus", "device", "no hook", "y", "simple-pm-bus"),
  row("rockchip-naneng-combphy", "phy", "device", "no hook", "m", "rockchip,rk3588-naneng-combphy", "rockchip,rk3568-naneng-combphy"),
  row("rockchip-snps-pcie3-phy", "phy", "device", "no hook", "y", "rockchip,rk3588-pcie3-phy", "rockchip,rk3568-pcie3-phy"),
  row("pl061_gpio", "gpio", "device", "no hook", "y", "arm,pl061"),
  row("gpio-dwapb", "gpio", "device", "no hook", "y", "snps,dw-apb-gpio"),
  row("leds-gpio", "leds", "device", "hook", "y", "gpio-leds"),
  { ...row("pci-host-generic", "pci", "device", "no hook", "y", "pci-host-ecam-generic", "pci-host-cam-generic"), role: "pci-host" },
  { ...row("rockchip-dw-pcie", "pci", "device", "no hook", "y", "rockchip,rk3568-pcie"), role: "pci-host" },
  { ...row("imx6q-pcie", "pci", "device", "hook", "y", "fsl,imx95-pcie", "fsl,imx8mp-pcie"), role: "pci-host" },
  { ...row("qcom-pcie", "pci", "device", "no hook", "y", "qcom,pcie-sm8550", "qcom,pcie-sm8450-pcie0"), role: "pci-host" },
  { ...row("j721e-pcie", "pci", "device", "no hook", "m", "ti,j721e-pcie-host"), role: "pci-host" },
  { ...row("tegra194-pcie", "pci", "device", "hook", "m", "nvidia,tegra194-pcie", "nvidia,tegra234-pcie"), role: "pci-host" },
  { ...row("xilinx-cpm-pcie", "pci", "device", "no hook", "y", "xlnx,versal-cpm-host-1.00"), role: "pci-host" },
  row("pcieport", "pci", "device", "hook", "y", "pciclass,0604"),
  row("gpio-clk", "clk", "device", "no hook", "y", "gpio-gate-clock", "gpio-mux-clock"),
  row("clk-rk3588", "clk", "core", "no hook", "y", "rockchip,rk3588-cru"),
  row("scpi_clocks", "clk", "device", "no hook", "y", "arm,scpi-clocks"),
  row("dma-pl330", "dma", "device", "no hook", "y", "arm,pl330"),
  row("dw_axi_dmac_platform", "dma", "device", "no hook", "m", "snps,axi-dma-1.01a"),
  row("dw_dmac", "dma", "subsys", "hook", "m", "snps,dma-spear1340"),
  row("fsl-edma", "dma", "subsys", "no hook", "y", "fsl,vf610-edma", "fsl,imx93-edma4", "fsl,imx95-edma5"),
  row("ti-udma", "dma", "device", "no hook", "y", "ti,j721e-navss-main-udmap"),
  row("gpi", "dma", "subsys", "no hook", "m", "qcom,sm8450-gpi-dma"),
  row("xilinx-zynqmp-dma", "dma", "device", "hook", "m", "xlnx,zynqmp-dma-1.0"),
  row("tegra-gpcdma", "dma", "device", "no hook", "y", "nvidia,tegra186-gpcdma", "nvidia,tegra194-gpcdma"),
  row("rockchip-pm-domain", "pmdomain", "postcore", "no hook", "y", "rockchip,rk3588-power-controller"),
  row("ti_sci_pm_domains", "pmdomain", "device", "no hook", "y", "ti,sci-pm-domain"),
  row("virtio-mmio", "virtio", "device", "no hook", "y", "virtio,mmio"),
  row("reg-fixed-voltage", "regulator", "subsys", "no hook", "y", "regulator-fixed"),
  row("gpio-regulator", "regulator", "subsys", "no hook", "y", "regulator-gpio"),
  row("uart-pl011", "tty", "arch", "no hook", "y", "arm,pl011"),
  row("sbsa-uart", "tty", "arch", "no hook", "y", "arm,sbsa-uart"),
  row("dw-apb-uart", "tty", "device", "no hook", "y", "snps,dw-apb-uart"),
  { ...row("arm-smmu", "iommu", "device", "hook", "y", "arm,mmu-500", "arm,smmu-v2", "arm,smmu-v1", "arm,mmu-401"), role: "smmu" },
  { ...row("arm-smmu-v3", "iommu", "device", "hook", "y", "arm,smmu-v3"), role: "smmu-v3" },
  row("hdlcd", "gpu", "device", "hook", "m", "arm,hdlcd"),
  row("mali-dp", "gpu", "device", "hook", "m", "arm,mali-dp500", "arm,mali-dp550", "arm,mali-dp650"),
  row("komeda", "gpu", "device", "hook", "m", "arm,mali-d71", "arm,mali-d32"),
  row("panfrost", "gpu", "device", "no hook", "m", "arm,mali-bifrost", "arm,mali-t860", "arm,mali-valhall-jm"),
  row("panthor", "gpu", "device", "no hook", "m", "arm,mali-valhall-csf"),
  row("nvme", "nvme", "device", "hook", "m", "pciclass,0108", "pciclass,010802"),
  row("ahci", "ata", "device", "hook", "y", "pciclass,0106", "pciclass,010601"),
  row("ahci_platform", "ata", "device", "hook", "y", "generic-ahci"),
  row("physmap-flash", "mtd", "device", "hook", "y", "cfi-flash"),
  row("dw_spi_mmio", "spi", "device", "no hook", "m", "snps,dw-apb-ssi"),
  row("e1000e", "net", "device", "hook", "y", "pci8086,10d3", "pci8086,153a"),
  row("igb", "net", "device", "hook", "y", "pci8086,1533", "pci8086,10c9"),
  row("r8169", "net", "device", "hook", "m", "pci10ec,8168", "pci10ec,8125"),
  row("sky2", "net", "device", "hook", "y", "pci11ab,4380"),
  row("macb", "net", "device", "hook", "y", "cdns,macb", "cdns,zynqmp-gem", "xlnx,zynqmp-gem"),
  row("smsc911x", "net", "device", "no hook", "y", "smsc,lan9115"),
  row("stmmaceth", "net", "device", "no hook", "m", "snps,dwmac", "snps,dwxgmac"),
  row("dwc3", "usb", "device", "no hook", "y", "snps,dwc3"),
  row("xhci-hcd", "usb", "device", "hook", "y", "generic-xhci", "xhci-platform"),
  row("xhci_hcd", "usb", "device", "hook", "y", "pciclass,0c0330"),
  row("ehci-platform", "usb", "device", "hook", "y", "generic-ehci"),
  row("ohci-platform", "usb", "device", "hook", "y", "generic-ohci"),
  row("gpio-keys", "input", "late", "hook", "y", "gpio-keys"),
  row("rtc-pl031", "rtc", "device", "no hook", "y", "arm,pl031"),
  row("i2c_designware", "i2c", "subsys", "no hook", "y", "snps,designware-i2c"),
  row("sp805-wdt", "watchdog", "device", "no hook", "y", "arm,sp805"),
  row("mmci-pl18x", "mmc", "device", "no hook", "y", "arm,pl180"),
  row("sdhci-arasan", "mmc", "device", "no hook", "y", "arasan,sdhci-8.9a", "arasan,sdhci-5.1"),
  row("sdhci-dwcmshc", "mmc", "device", "no hook", "y", "snps,dwcmshc-sdhci", "rockchip,rk3588-dwcmshc"),
  row("sdhci-esdhc-imx", "mmc", "device", "no hook", "y", "fsl,imx7d-usdhc", "fsl,imx95-usdhc"),
  row("sdhci-am654", "mmc", "device", "no hook", "y", "ti,j721e-sdhci-8bit", "ti,am654-sdhci-5.1"),
  row("ufshcd-qcom", "ufs", "device", "no hook", "m", "qcom,ufshc"),
  row("arm-scmi", "firmware", "device", "no hook", "y", "arm,scmi", "arm,scmi-smc"),
  row("ccree", "crypto", "device", "no hook", "m", "arm,cryptocell-712-ree", "arm,cryptocell-713-ree"),
  row("mhu", "mailbox", "device", "no hook", "y", "arm,mhu"),
  row("armv8-pmu", "perf", "device", "no hook", "y", "arm,armv8-pmuv3"),
  row("arm-smmu-v3-pmcg", "perf", "device", "hook", "m", "arm,smmu-v3-pmcg"),
  row("coresight-tmc", "hwtracing/coresight", "device", "hook", "m", "arm,coresight-tmc"),
];
