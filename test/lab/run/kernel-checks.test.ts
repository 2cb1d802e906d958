// SPDX-License-Identifier: MIT
/** What a run tells of the kernels' own checks. The drivers here are wrong on purpose; those of the project are not. */
import { describe, expect, test } from "vitest";
import {
  type DriverModule,
  type Kernel,
  local_irq_restore,
  local_irq_save,
  Mutex,
  platform_driver_register,
} from "../../../src/kernel/index.ts";
import {
  brokenExpectations,
  CLIENT_HOOKS,
  CLIENT_KINDS,
  cellScenario,
  parseCell,
  runCell,
  runDocument,
  runScenario,
  type RunResult,
  runText,
  type Scenario,
} from "../../../src/lab/index.ts";
import { type Coroutine, WaitQueue, waitEvent } from "../../../src/sim/index.ts";

const cell = cellScenario(parseCell("none/hdlcd/no-hook/reboot")!);
const scenario: Scenario = {
  ...cell,
  machine: { ...cell.machine, devices: cell.machine.devices.map((device) => ({ ...device, driver: "absent" as const })) },
};

/** A reboot with a driver whose hook is this. */
function runWith(shutdown: (kernel: Kernel) => Coroutine<void>): RunResult {
  const faulty: DriverModule = {
    name: "faulty",
    initcall: "device",
    linkOrder: 999,
    *init(kernel) {
      yield* platform_driver_register(kernel, {
        name: "faulty",
        of_match_table: ["arm,hdlcd"],
        *probe() {
          return 0;
        },
        shutdown: (pdev) => shutdown(pdev.kernel),
      });
    },
  };
  return runScenario(scenario, { seed: 1, replay: "", drivers: [faulty] });
}

function* lockWithInterruptsOff(kernel: Kernel): Coroutine<void> {
  const flags = local_irq_save(kernel);
  yield* new Mutex(kernel, "faulty lock").with("faulty", function* () {});
  local_irq_restore(kernel, flags);
}

describe("a driver whose shutdown hook takes a mutex with interrupts off", () => {
  const run = runWith(lockWithInterruptsOff);
  const message = "sleeping function called from invalid context at mutex_lock(faulty lock), in reboot:1";

  test("is found although nothing went wrong", () => {
    expect(run.secondKernel).toBe("up");
    expect(run.oops).toBeNull();
    expect(run.kernelChecks.count).toBe(1);
    expect(run.kernelChecks.warnings[0]).toMatchObject({
      kernel: "first",
      check: "atomic-sleep",
      message,
      task: "reboot:1",
      device: "7ff60000.hdlcd",
    });
  });

  test("stands in the text with kernel, task, device and time", () => {
    const text = runText(scenario, run, [], (_style, words) => words);
    const section = text.slice(text.indexOf("\nkernel checks\n"));
    expect(section.replace(/\s+/g, " ")).toContain(`first: atomic-sleep: ${message} task reboot:1, device 7ff60000.hdlcd`);
    expect(section).toMatch(/^ {4}\+\d+\.\d{3} {2}first/m);
  });

  test("stands in the JSON document", () => {
    expect(runDocument(scenario, run, [])).toMatchObject({ kernelChecks: { count: 1, warnings: [{ check: "atomic-sleep", message }] } });
  });

  test("is not as any scenario expects", () => {
    expect(brokenExpectations(scenario, run)).toEqual([`the first kernel reports (atomic-sleep) in task reboot:1: ${message}`]);
  });
});

test("a hook that waits for what never comes is a hung task of the first kernel", () => {
  const run = runWith(function* () {
    yield* waitEvent(new WaitQueue("idle"), () => false);
  });
  expect(run.kernelChecks.warnings).toMatchObject([{ check: "hung-task", task: "reboot:1" }]);
});

test("a run without reports has no section", () => {
  const run = runCell(parseCell("none/hdlcd/no-hook/reboot")!, 1);
  expect(runText(cell, run, [], (_style, words) => words)).not.toContain("kernel checks");
});

test("what devices had when their kernel ended is told by device", () => {
  const { kernelChecks } = runCell(parseCell("none/hdlcd/no-hook/reboot")!, 1);
  expect(kernelChecks.leftAtEnd).toContainEqual(
    expect.objectContaining({ kernel: "first", device: "7ff60000.hdlcd", driver: "hdlcd", dmaMappings: 1, irqs: 1 }),
  );
});

describe("the drivers of the project are clean", () => {
  const ways = ["kexec", "kdump"] as const;
  const cells = CLIENT_KINDS.flatMap((kind) => CLIENT_HOOKS.map((hook) => [kind, hook] as const));
  test.each(cells)("%s, %s", (kind, hook) => {
    for (const way of ways) {
      const run = runCell(parseCell(`abort/${kind}/${hook}/${way}`)!, 1);
      expect(run.kernelChecks.warnings.filter(({ kernel }) => kernel === "first" || run.nextKernelBytesCorrupted === 0)).toEqual([]);
    }
  });
});
