// SPDX-License-Identifier: GPL-2.0-only
/** Loading while a jump is under way, after Linux 7.1 kernel/kexec.c: do_kexec_load takes kexec_trylock. */
import { expect, test } from "vitest";
import { build_kernel_image, device_add, driver_register, EBUSY, type KexecImage, msleep } from "../../../src/kernel/index.ts";
import { loggingDriver, testBus, testDevice } from "../support/devices.ts";
import { makeTestKernel } from "../support/fake-platform.ts";

test("kexec_load is -EBUSY while kernel_kexec is under way, and the image that was loaded is the one that starts", () => {
  const machine = makeTestKernel({ memory: [{ base: 0x8000_0000, size: 0xc0_0000 }] });
  const { kernel } = machine;
  const bus = testBus();
  const answers: number[] = [];
  const started: KexecImage[] = [];
  machine.run(
    driver_register(kernel, {
      ...loggingDriver("nic", bus, []),
      *shutdown() {
        answers.push(kernel.kexec.kexec_load({ kernel: build_kernel_image("late", 8) }));
        yield* msleep(1);
      },
    }),
  );
  machine.run(device_add(testDevice(kernel, "nic0", bus)));
  expect(kernel.kexec.kexec_load({ kernel: build_kernel_image("next", 8) })).toBe(0);
  const image = kernel.kexec.kexec_image;
  kernel.onJump = (jump) => void started.push(jump.image);
  kernel.spawn("kexec", kernel.kexec.kernel_kexec());
  machine.idle(1e9);
  expect(answers).toEqual([-EBUSY]);
  expect(started[0] === image).toBe(true);
});
