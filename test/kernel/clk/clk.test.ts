// SPDX-License-Identifier: GPL-2.0-only
/** Clocks: counts, parents, providers; and what a hook meets that touches a device whose clock is off. */
import { describe, expect, test } from "vitest";
import {
  Clk,
  clk_disable,
  clk_disable_unprepare,
  clk_enable,
  clk_get,
  clk_hw_register_gate,
  clk_prepare,
  clk_prepare_enable,
  clk_unprepare,
  device_shutdown,
  devm_clk_get_enabled,
  devm_of_clk_add_hw_provider,
  devm_platform_ioremap_resource,
  type DriverModule,
  dtNode,
  ENOENT,
  EPROBE_DEFER,
  ESHUTDOWN,
  ExternalAbort,
  type IoMem,
  type PlatformDevice,
  pm_runtime_enable,
  pm_runtime_force_suspend,
  pm_runtime_get_sync,
  pm_runtime_put_sync,
  readl,
  writel,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { node, platformModule } from "../support/devices.ts";
import { type FakeWindow, makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

function logged(m: TestKernel, name: string, log: string[], parent: Clk | null = null): Clk {
  return new Clk(m.kernel, name, parent, { enable: () => void log.push(`+${name}`), disable: () => void log.push(`-${name}`) });
}

describe("clock counts", () => {
  test("the first user turns a clock on and the last one off, its parent around it", () => {
    const m = makeTestKernel();
    const log: string[] = [];
    const clk = logged(m, "uart", log, logged(m, "pll", log));
    clk_prepare_enable(clk);
    clk_prepare_enable(clk);
    clk_disable_unprepare(clk);
    expect(log).toEqual(["+pll", "+uart"]);
    clk_disable_unprepare(clk);
    expect(log).toEqual(["+pll", "+uart", "-uart", "-pll"]);
  });

  test("siblings share their parent", () => {
    const m = makeTestKernel();
    const log: string[] = [];
    const pll = logged(m, "pll", log);
    const [a, b] = [logged(m, "a", log, pll), logged(m, "b", log, pll)];
    for (const clk of [a, b]) clk_prepare_enable(clk);
    clk_disable_unprepare(a);
    expect(log).toEqual(["+pll", "+a", "+b", "-a"]);
  });

  test("disabling and unpreparing once too often are warnings and leave the counts alone", () => {
    const m = makeTestKernel();
    const clk = logged(m, "uart", []);
    clk_disable(clk);
    clk_unprepare(clk);
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["uart already disabled", "uart already unprepared"]);
    expect([clk.enable_count, clk.prepare_count]).toEqual([0, 0]);
  });

  test("enabling what is not prepared is a warning and -ESHUTDOWN", () => {
    const m = makeTestKernel();
    const clk = logged(m, "uart", []);
    expect(clk_enable(clk)).toBe(-ESHUTDOWN);
    expect(m.kernel.warnings[0]?.message).toBe("Enabling unprepared uart");
    clk_prepare(clk);
    expect(clk_enable(clk)).toBe(0);
  });
});

/** Clock controller at 0x1000: bit 0 of its first register lets the clock of the UART at 0x2000 through. */
class Board {
  gate = 0;
  readonly windows: FakeWindow[] = [
    { base: 0x1000, size: 0x1000, read: () => this.gate, write: (_offset, value) => void (this.gate = value) },
    { base: 0x2000, size: 0x1000, read: (offset) => this.#uart(offset, false), write: (offset) => void this.#uart(offset, true) },
  ];

  #uart(offset: number, write: boolean): number {
    if ((this.gate & 1) === 0) throw new ExternalAbort(0x2000 + offset, write);
    return 0x55;
  }
}

function clockController(): DriverModule {
  return platformModule("cc", {
    *probe(pdev) {
      const clk = clk_hw_register_gate("uart", null, devm_platform_ioremap_resource(pdev, 0), 0, 0);
      return devm_of_clk_add_hw_provider(pdev, () => clk);
    },
  });
}

const nodes = [
  node("cc", 0x1000),
  node("uart", 0x2000, {
    clocks: [
      { label: "cc", args: [0] },
      { label: "osc", args: [] },
    ],
    properties: { "clock-names": ["apb", "ref"] },
  }),
  dtNode({ name: "osc", label: "osc", compatible: ["fixed-clock"] }),
];

function booted(uart: DriverModule, board: Board = new Board()): TestKernel {
  const m = makeTestKernel({ nodes, drivers: [clockController(), uart], windows: board.windows });
  m.run(m.kernel.boot());
  return m;
}

describe("clk_get", () => {
  test("finds a provider's clock by place or by name, and a fixed clock without a provider", () => {
    const found: (string | number)[] = [];
    booted(
      platformModule("uart", {
        *probe(pdev) {
          for (const id of [0, "apb", "ref", "none"]) {
            const clk = clk_get(pdev, id);
            found.push(typeof clk === "number" ? clk : clk.name);
          }
          return 0;
        },
      }),
    );
    expect(found).toEqual(["uart", "uart", "osc", -ENOENT]);
  });

  test("asks for deferral while the provider is not there", () => {
    const m = makeTestKernel({ nodes, cmdline: { fwDevlink: "off" } });
    m.run(m.kernel.boot());
    expect(clk_get(m.kernel.base.findDevice("2000.uart")!)).toBe(-EPROBE_DEFER);
  });

  test("devm_clk_get_enabled keeps the clock on until the driver lets go", () => {
    const board = new Board();
    const seen: number[] = [];
    booted(
      platformModule("uart", {
        *probe(pdev) {
          devm_clk_get_enabled(pdev);
          seen.push(board.gate);
          return -ENOENT;
        },
      }),
      board,
    );
    expect([...seen, board.gate]).toEqual([1, 0]);
  });
});

describe("a hook that touches a device whose clock is off", () => {
  /** A UART whose clock runs only while it is in use. */
  function uart(shutdown: (pdev: PlatformDevice, io: IoMem, clk: Clk) => Coroutine<void>): DriverModule {
    let io: IoMem;
    let clk: Clk;
    return platformModule("uart", {
      *probe(pdev) {
        io = devm_platform_ioremap_resource(pdev, 0);
        const found = clk_get(pdev);
        if (typeof found === "number") return found;
        clk = found;
        pm_runtime_enable(pdev);
        yield* pm_runtime_get_sync(pdev);
        readl(io, 0);
        yield* pm_runtime_put_sync(pdev);
        return 0;
      },
      pm: {
        *runtime_resume() {
          return clk_prepare_enable(clk);
        },
        *runtime_suspend() {
          clk_disable_unprepare(clk);
          return 0;
        },
      },
      *shutdown(pdev) {
        yield* shutdown(pdev, io, clk);
      },
    });
  }

  test("the platform bus resumes nothing: the access aborts and the kernel oopses", () => {
    const m = booted(
      uart(function* (_pdev, io) {
        writel(io, 0, 0);
      }),
    );
    expect(m.runToOops(device_shutdown(m.kernel))).toContain("SError Interrupt");
  });

  test("a hook that takes a reference first finds it awake", () => {
    const seen: number[] = [];
    const m = booted(
      uart(function* (pdev, io) {
        yield* pm_runtime_get_sync(pdev);
        seen.push(readl(io, 0));
      }),
    );
    m.run(device_shutdown(m.kernel));
    expect(seen).toEqual([0x55]);
  });

  test("a hook that turns the clock off by hand after a forced suspend turns it off twice", () => {
    const m = booted(
      uart(function* (pdev, _io, clk) {
        yield* pm_runtime_get_sync(pdev);
        yield* pm_runtime_force_suspend(pdev);
        clk_disable_unprepare(clk);
      }),
    );
    m.run(device_shutdown(m.kernel));
    expect(m.kernel.warnings.map(({ message }) => message)).toEqual(["uart already disabled", "uart already unprepared"]);
  });
});
