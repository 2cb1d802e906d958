// SPDX-License-Identifier: GPL-2.0-only
/** A callback whose answer is a coroutine that nobody ran: the missing `yield*` is told, with whose callback it was. */
import { describe, expect, test } from "vitest";
import {
  device_add,
  device_shutdown,
  driver_register,
  INIT_WORK,
  IRQ_HANDLED,
  type Kernel,
  kthread_run,
  mod_timer,
  msleep,
  request_irq,
  schedule_work,
  timer_setup,
  wait_for_device_probe,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel, type TestKernel } from "../support/fake-platform.ts";

// What a port without types does: the call is the answer.
const forgotten = (): never => msleep(1) as never;

function* probed(kernel: Kernel, probe: () => Coroutine<number>, shutdown?: () => Coroutine<void>): Coroutine<void> {
  const bus = testBus();
  yield* device_add(testDevice(kernel, "d1", bus));
  yield* driver_register(kernel, { name: "d", bus, probe, ...(shutdown && { shutdown }) });
  yield* wait_for_device_probe(kernel);
}

function oopsOf({ kernel, run }: TestKernel, body: Coroutine<void>): string | undefined {
  try {
    run(body);
  } catch {
    // The task that made the mistake may have been the test's own.
  }
  return kernel.oopses[0]?.message;
}

const says = (what: string): string => `${what} returned a coroutine that was never run: yield* is missing before the call`;

type Case = readonly [what: string, body: (machine: TestKernel) => Coroutine<void>];
const CASES: readonly Case[] = [
  [
    "probe of driver d",
    ({ kernel }) =>
      probed(kernel, function* () {
        return forgotten();
      }),
  ],
  [
    "driver d",
    function* ({ kernel }) {
      yield* probed(
        kernel,
        function* () {
          return 0;
        },
        function* () {
          return forgotten();
        },
      );
      yield* device_shutdown(kernel);
    },
  ],
  [
    "work w",
    function* ({ kernel }) {
      schedule_work(
        INIT_WORK(kernel, "w", function* () {
          return forgotten();
        }),
      );
      yield* msleep(5);
    },
  ],
  [
    "timer t",
    function* ({ kernel }) {
      const timer = timer_setup(kernel, "t", function* () {
        return forgotten();
      });
      mod_timer(timer, 1);
      yield* msleep(5);
    },
  ],
  [
    "thread k",
    function* ({ kernel }) {
      kthread_run(kernel, "k", function* () {
        return forgotten();
      });
      yield* msleep(5);
    },
  ],
  [
    "handler of dev",
    function* ({ kernel, platform }) {
      request_irq(testDevice(kernel, "dev"), 40, function* () {
        return forgotten();
      });
      platform.interrupts.raise(40);
      yield* msleep(5);
    },
  ],
];

describe("a callback that answers with a coroutine", () => {
  test.each(CASES)("%s", (what, body) => {
    const machine = makeTestKernel();
    expect(oopsOf(machine, body(machine))).toContain(says(what));
  });
});

test("a probe that answers nothing is told, too", () => {
  const machine = makeTestKernel();
  const body = probed(machine.kernel, function* () {
    return undefined as never;
  });
  expect(oopsOf(machine, body)).toContain("probe of driver d returned undefined and not 0 or -errno");
});

test("callbacks that answer as they should pass", () => {
  const machine = makeTestKernel();
  const { kernel, platform } = machine;
  function* right(): Coroutine<void> {
    yield* probed(kernel, function* () {
      yield* msleep(1);
      return 0;
    });
    request_irq(testDevice(kernel, "dev"), 40, function* () {
      return IRQ_HANDLED;
    });
    platform.interrupts.raise(40);
    yield* msleep(1);
  }
  expect(oopsOf(machine, right())).toBeUndefined();
});
