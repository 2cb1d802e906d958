// SPDX-License-Identifier: MIT
/** A buffer is taken from a NIC that keeps translations: with CMD_ATC_INV it cannot reach it any more, without it can. */
import { expect, test } from "vitest";
import { ArmSmmuDomain } from "../../../src/drivers/iommu/arm-smmu-v3/domains/smmu-domain.ts";
import { arm_smmu_inv_is_ats, ArmSmmuInvs } from "../../../src/drivers/iommu/arm-smmu-v3/invalidation/invs.ts";
import { e1000eModule } from "../../../src/drivers/index.ts";
import { DmaStatus, E1000e } from "../../../src/hw/index.ts";
import {
  type Device,
  DMA_FROM_DEVICE,
  dma_map_single,
  dma_unmap_single,
  type DriverModule,
  iommu_get_domain_for_dev,
  type Kernel,
  KernelBuffer,
  PAGE_SIZE,
} from "../../../src/kernel/index.ts";
import { claimWords, parseScenario, type RunResult, runScenario } from "../../../src/lab/index.ts";
import { type Coroutine, sleepNs } from "../../../src/sim/index.ts";

const NIC = "0000:01:00.0";
const MS = 1_000_000;

/** Waits for the NIC to be in a domain that invalidates its cache. */
function* nicOf(kernel: Kernel): Coroutine<{ readonly nic: Device; readonly domain: ArmSmmuDomain }> {
  for (;;) {
    yield* sleepNs(MS / 10);
    const nic = kernel.base.findDevice(NIC);
    const domain = nic && iommu_get_domain_for_dev(nic);
    if (nic && domain instanceof ArmSmmuDomain && domain.invs.has_ats) return { nic, domain };
  }
}

/** What became of the NIC's writes while the buffer was its own, and after it was unmapped, freed and given to other code. */
interface Writes {
  readonly mapped: DmaStatus[];
  readonly unmapped: DmaStatus[];
}

/** @param forgets the SMMU driver has lost from its list that this domain's unmapping needs a CMD_ATC_INV */
function run(forgets: boolean): { readonly result: RunResult; readonly writes: Writes } {
  const writes: Writes = { mapped: [], unmapped: [] };
  let function_: E1000e | undefined;
  function* work(kernel: Kernel): Coroutine<void> {
    const { nic, domain } = yield* nicOf(kernel);
    yield* sleepNs(MS);
    if (forgets) domain.invs = new ArmSmmuInvs(domain.invs.inv.filter((inv) => !arm_smmu_inv_is_ats(inv)));
    const buffer = KernelBuffer.alloc(kernel, PAGE_SIZE, "a buffer")!;
    const address = dma_map_single(nic, buffer.pa, PAGE_SIZE, DMA_FROM_DEVICE);
    for (let i = 0; i < 3; i++) writes.mapped.push(function_!.dma.write(address + 64 * i, new Uint8Array(64).fill(1)));
    yield* dma_unmap_single(nic, address, PAGE_SIZE, DMA_FROM_DEVICE);
    buffer.free("its driver");
    kernel.mm.alloc_pages(PAGE_SIZE, "other code", "user");
    for (let i = 0; i < 3; i++) writes.unmapped.push(function_!.dma.write(address + 64 * i, new Uint8Array(64).fill(2)));
  }
  const text = [
    "title: t",
    "story: s",
    "source: s",
    "machine: { pci: {}, devices: [{ name: nic, kind: e1000e, hook: quiescing, ats: true }] }",
    "wayDown: reboot",
  ];
  const user: DriverModule = { name: "user", initcall: "module", linkOrder: 0, init: (kernel) => void kernel.spawn("user", work(kernel)) };
  const result = runScenario(parseScenario(text.join("\n"), "f"), {
    seed: 1,
    replay: "",
    drivers: [user],
    clients: {
      nic: {
        build({ simulation, trace, notModelled }) {
          function_ = new E1000e({ simulation, name: "nic", trace, notModelled, extended: { ats: {} } });
          return { pciFunction: function_ };
        },
        driver: (shutdown, initcall, up) => e1000eModule({ shutdown, initcall, up }),
      },
    },
  });
  return { result, writes };
}

const { ok, abort } = DmaStatus;

test("with CMD_ATC_INV the NIC asks again, gets no translation, and nothing leaves it", () => {
  const { result, writes } = run(false);
  expect(writes).toEqual({ mapped: [ok, ok, ok], unmapped: [abort, abort, abort] });
  expect(result.verdict).toBe("clean");
});

test("without it the NIC's writes pass, and the claim says into whose memory", () => {
  const { result, writes } = run(true);
  expect(writes).toEqual({ mapped: [ok, ok, ok], unmapped: [ok, ok, ok] });
  expect(result.verdict).toBe("corrupt");
  expect(claimWords(result.claims)["no-foreign-write"]).toBe("broken");
  const [evidence] = result.claims.find(({ claim }) => claim === "no-foreign-write")!.evidence;
  expect(evidence).toMatchObject({ who: NIC, text: "64 bytes written into other code (user) of the first kernel" });
});
