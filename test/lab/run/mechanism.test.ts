// SPDX-License-Identifier: MIT
/** What the thread argued about, as the machine does it: each fact is measured, none is written down anywhere in the lab. */
import { describe, expect, test } from "vitest";
import { cellScenario, claimWords, parseCell, runCell, runScenario, type RunResult } from "../../../src/lab/index.ts";
import { chanceOf } from "../../../src/lab/run/chance.ts";
import { crashReserve } from "../../../src/lab/scenario/crash-reserve.ts";

const cache = new Map<string, RunResult>();

function cell(words: string): RunResult {
  let run = cache.get(words);
  if (!run) {
    run = runCell(parseCell(words)!, 1);
    cache.set(words, run);
  }
  return run;
}

describe("bypass under kexec, a writer without a hook", () => {
  const run = (): RunResult => cell("bypass/tmc-etr/no-hook/kexec");

  test("changes memory of the next kernel", () => {
    expect(run().verdict).toBe("corrupt");
    expect(run().nextKernelBytesCorrupted).toBeGreaterThan(0);
  });

  test("does so at raw addresses: where it lands is the number the device was given", () => {
    const evidence = run()
      .claims.find(({ claim }) => claim === "next-kernel-intact")
      ?.evidence.find(({ who }) => who !== "checksum");
    expect(evidence?.address).toBeDefined();
    expect(evidence?.physical).toBe(evidence?.address);
    expect(run().dma.bypassed).toBeGreaterThan(0);
  });

  test("ends the next kernel in an oops of its own", () => {
    expect(run().secondKernel).toBe("oops");
    expect(run().oops).toMatchObject({ kernel: "second" });
  });

  test("walks no table: translation is off", () => {
    expect(run().staleWalks).toBe(0);
  });
});

describe("no SMMU hook under kexec, a writer without a hook", () => {
  const run = (): RunResult => cell("none/tmc-etr/no-hook/kexec");
  /** The same with the buffer low in RAM, where the next image goes. */
  const low = (): RunResult =>
    runScenario(
      { ...cellScenario(parseCell("none/tmc-etr/no-hook/kexec")!), boot: { probeMs: 5, pagesBefore: 0 } },
      { seed: 1, replay: "" },
    );

  test("uses no raw address", () => {
    expect(run().dma.bypassed).toBe(0);
    expect(claimWords(run().claims)["no-dma-after-smmu-shutdown"]).toBe("holds");
  });

  test("walks tables in memory that was given away", () => {
    expect(run().staleWalks).toBeGreaterThan(0);
    const evidence = run().claims.find(({ claim }) => claim === "no-stale-walk")?.evidence[0];
    expect(evidence?.givenUpBy).toBe("the kexec jump");
  });

  test("lands in the old buffer, which is somebody else's memory by then if the next image was put there", () => {
    const under = low();
    expect(under.verdict).toBe("corrupt");
    const evidence = under.claims.find(({ claim }) => claim === "no-foreign-write")?.evidence[0];
    expect(evidence?.physical).not.toBe(evidence?.address);
  });
});

describe("abort", () => {
  test.each(["tmc-etr", "hdlcd"])("contains a %s without a hook under kexec, at the price of refused accesses", (client) => {
    const run = cell(`abort/${client}/no-hook/kexec`);
    expect(run.verdict).toBe("contained");
    expect(run.dma.aborted).toBeGreaterThan(0);
    expect(run.foreignWriteBytes).toBe(0);
    expect(run.staleWalks).toBe(0);
    expect(run.secondKernel).toBe("up");
  });
});

describe("a client that stops and proves it", () => {
  test.each(["e1000e", "hdlcd", "tmc-etr"])("%s is clean under kexec whatever the SMMU does", (client) => {
    for (const policy of ["none", "bypass", "abort"]) {
      const run = cell(`${policy}/${client}/quiescing/kexec`);
      expect(run.verdict).toBe("clean");
      expect(run.dma.afterOwnShutdown).toBe(0);
      expect(run.secondKernel).toBe("up");
    }
  });
});

describe("a hook is no proof", () => {
  test("mainline's display hook returns while the frame is still being fetched", () => {
    expect(cell("bypass/hdlcd/mainline/kexec").dma.afterOwnShutdown).toBeGreaterThan(0);
  });
});

describe("kdump", () => {
  const run = (): RunResult => cell("bypass/tmc-etr/quiescing/kdump");

  test("runs no shutdown hook at all", () => {
    expect(run().shutdownOrder).toEqual([]);
    expect(run().milestones.map(({ text }) => text)).not.toContain("device_shutdown");
  });

  test("lets devices go on into the crashed kernel's memory, which stays granted", () => {
    expect(run().dma.translated).toBeGreaterThan(0);
    expect(run().foreignWriteBytes).toBe(0);
  });

  test("refuses them from the SMMU's reset until the crash kernel's driver has them, and nobody is told: its event queue is off", () => {
    for (const client of ["e1000e", "hdlcd"]) {
      const run = cell(`bypass/${client}/no-hook/kdump`);
      expect(run.dma.aborted).toBeGreaterThan(0);
      expect(run.events.recorded).toBe(0);
      expect(run.events.lost).toBeGreaterThan(0);
    }
  });

  test("takes its reserve from just below 4 GiB, as arm64 does, unless the scenario says where", () => {
    const scenario = cellScenario(parseCell("none/hdlcd/no-hook/kdump")!);
    expect(crashReserve(scenario)).toEqual({ base: 0xfc00_0000, size: 0x400_0000 });
    const memory = { base: 0x8000_0000, size: 0x1_8000_0000 };
    expect(crashReserve({ ...scenario, machine: { ...scenario.machine, memory } }).base).toBe(0xfc00_0000);
    const kernel = { ...scenario.kernel, crashReserve: { base: 0xa000_0000 } };
    const run = runScenario({ ...scenario, kernel }, { seed: 1, replay: "" });
    expect(run).toMatchObject({ verdict: "clean", secondKernel: "up" });
  });

  test("boots its kernel in the reserve while they do", () => {
    expect(run().secondKernel).toBe("up");
  });
});

describe("ways down", () => {
  test("an emergency restart runs no hook", () => {
    expect(cell("bypass/hdlcd/quiescing/emergency").shutdownOrder).toEqual([]);
  });

  test("power-off ends with no second kernel and no DMA", () => {
    const run = cell("bypass/hdlcd/no-hook/power-off");
    expect(run.secondKernel).toBe("none");
    expect(run.milestones.map(({ text }) => text)).toContain("power is cut");
  });

  test("a reboot's hardware reset stops all DMA until the next kernel's driver starts it", () => {
    const run = cell("bypass/tmc-etr/no-hook/reboot");
    const reset = run.milestones.find(({ text }) => text.startsWith("hardware reset"))!.time;
    const { start, binNs, bins } = run.timeline;
    const after = Math.ceil((reset - start) / binNs) + 1;
    for (const counts of Object.values(bins)) expect(counts.slice(after).every((count) => count === 0)).toBe(true);
  });

  test("at kexec the PCI bus clears bus mastering even without a driver's hook, until the next kernel sets it; at reboot it does not", () => {
    const run = cell("bypass/e1000e/no-hook/kexec");
    const entry = run.milestones.find(({ text }) => text === "the next kernel is entered")!.time;
    const late = run.claims.find(({ claim }) => claim === "no-dma-after-own-shutdown")!.evidence;
    expect(late.filter(({ time }) => time < entry)).toEqual([]);
    expect(cell("bypass/e1000e/no-hook/reboot").dma.afterOwnShutdown).toBeGreaterThan(0);
  });
});

describe("a run", () => {
  test("is a pure function of scenario and seed", () => {
    const again = runCell(parseCell("bypass/tmc-etr/no-hook/kexec")!, 1);
    expect(JSON.stringify(again)).toBe(JSON.stringify(cell("bypass/tmc-etr/no-hook/kexec")));
  });

  test("another seed gives other stimulus", () => {
    const one = cell("none/e1000e/no-hook/reboot");
    const two = runCell(parseCell("none/e1000e/no-hook/reboot")!, 2);
    expect(two.timeline.bins).not.toEqual(one.timeline.bins);
  });

  test("the seed picks when the way down begins and where buffers lie, unless the scenario does", () => {
    const scenario = cellScenario(parseCell("none/e1000e/no-hook/reboot")!);
    expect(chanceOf(1, scenario)).not.toEqual(chanceOf(2, scenario));
    expect(chanceOf(1, scenario)).toEqual(chanceOf(1, scenario));
    const said = { workload: { ...scenario.workload, phaseUs: 7 }, boot: { ...scenario.boot, pagesBefore: 3 } };
    expect(chanceOf(1, said)).toEqual({ phaseUs: 7, pagesBefore: 3 });
  });

  test("watches a machine without active clients and finds nothing", () => {
    const scenario = cellScenario(parseCell("none/hdlcd/no-hook/kexec")!);
    const devices = scenario.machine.devices.map((device) => ({ ...device, active: false }));
    const run = runScenario({ ...scenario, machine: { ...scenario.machine, devices } }, { seed: 1, replay: "" });
    expect(run.verdict).toBe("clean");
  });
});
