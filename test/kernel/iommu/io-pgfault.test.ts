// SPDX-License-Identifier: GPL-2.0-only
/** Page faults of devices: groups, handlers and answers. */
import { describe, expect, test } from "vitest";
import {
  type Device,
  EBUSY,
  EINVAL,
  ENODEV,
  iommu_report_device_fault,
  type IommuFault,
  type IommuPageResponse,
  iopf_group_response,
  type IopfGroup,
  iopf_queue_add_device,
  iopf_queue_alloc,
  iopf_queue_discard_partial,
  iopf_queue_flush_dev,
  iopf_queue_remove_device,
} from "../../../src/kernel/index.ts";
import type { Coroutine } from "../../../src/sim/index.ts";
import { type ClientMachine, clientMachine, FakeIommu } from "./fake-iommu.ts";

class FaultingIommu extends FakeIommu {
  readonly answers: IommuPageResponse[] = [];
  *page_response(_dev: Device, _fault: IommuFault, response: IommuPageResponse): Coroutine<void> {
    this.answers.push(response);
  }
}

function setup(): ClientMachine & { readonly answers: IommuPageResponse[]; readonly groups: IopfGroup[] } {
  const iommu = new FaultingIommu();
  const machine = clientMachine({ iommu });
  const groups: IopfGroup[] = [];
  machine.dev.iommu_group!.domain!.iopf_handler = (group) => {
    groups.push(group);
    return 0;
  };
  return { ...machine, answers: iommu.answers, groups };
}

/** A fault of plain DMA. */
function fault(addr: number, grpid: number, last = true): IommuFault {
  return { addr, grpid, last, read: true, write: false, exec: false, priv: false };
}

describe("iommu_report_device_fault", () => {
  test("hands a last fault to the handler of the domain, with the others of its group before it", () => {
    const { kernel, run, dev, groups } = setup();
    run(iopf_queue_add_device(iopf_queue_alloc(kernel, "test"), dev));
    for (const part of [fault(0x1000, 1, false), fault(0x2000, 2, false), fault(0x3000, 1, false)])
      expect(run(iommu_report_device_fault(dev, part))).toBe(0);
    expect(groups).toEqual([]);
    expect(run(iommu_report_device_fault(dev, fault(0x4000, 1)))).toBe(0);
    expect(groups[0]!.faults.map(({ addr }) => addr)).toEqual([0x1000, 0x3000, 0x4000]);
    expect(groups[0]!.fault_param.partial.map(({ addr }) => addr)).toEqual([0x2000]);
  });

  test("a group is answered once, by the id of its last fault", () => {
    const { kernel, run, dev, groups, answers } = setup();
    run(iopf_queue_add_device(iopf_queue_alloc(kernel, "test"), dev));
    run(iommu_report_device_fault(dev, fault(0x1000, 7)));
    run(iopf_group_response(groups[0]!, "success"));
    run(iopf_group_response(groups[0]!, "success"));
    expect(answers).toEqual([{ grpid: 7, code: "success" }]);
  });

  test("a domain without a handler: refused at once, -EINVAL", () => {
    const { kernel, run, dev, answers } = setup();
    run(iopf_queue_add_device(iopf_queue_alloc(kernel, "test"), dev));
    delete dev.iommu_group!.domain!.iopf_handler;
    expect(run(iommu_report_device_fault(dev, fault(0x1000, 7)))).toBe(-EINVAL);
    expect(answers).toEqual([{ grpid: 7, code: "invalid" }]);
  });

  test("a PASID that has no domain: refused at once, with the PASID", () => {
    const { kernel, run, dev, answers } = setup();
    run(iopf_queue_add_device(iopf_queue_alloc(kernel, "test"), dev));
    expect(run(iommu_report_device_fault(dev, { ...fault(0x1000, 7), pasid: 3 }))).toBe(-EINVAL);
    expect(answers).toEqual([{ grpid: 7, pasid: 3, code: "invalid" }]);
  });

  test("a device without a queue under a domain that handles faults: a warning, and refused", () => {
    const { kernel, run, dev, answers } = setup();
    expect(run(iommu_report_device_fault(dev, fault(0x1000, 7)))).toBe(-EINVAL);
    expect(answers).toEqual([{ grpid: 7, code: "invalid" }]);
    expect(kernel.warnings).toHaveLength(1);
  });

  test("a handler that cannot take it: failure is answered and said", () => {
    const { kernel, run, dev, answers } = setup();
    run(iopf_queue_add_device(iopf_queue_alloc(kernel, "test"), dev));
    dev.iommu_group!.domain!.iopf_handler = () => -EBUSY;
    expect(run(iommu_report_device_fault(dev, fault(0x1000, 7)))).toBe(0);
    expect(answers).toEqual([{ grpid: 7, code: "failure" }]);
    expect(kernel.printk.lines.at(-1)!.text).toContain("iopf with pasid 0 aborted");
  });
});

describe("iopf_queue", () => {
  test("a device has one queue at most: -EBUSY; an IOMMU that cannot answer: -ENODEV", () => {
    const { kernel, run, dev } = setup();
    expect(run(iopf_queue_add_device(iopf_queue_alloc(kernel, "one"), dev))).toBe(0);
    expect(run(iopf_queue_add_device(iopf_queue_alloc(kernel, "two"), dev))).toBe(-EBUSY);
    const plain = clientMachine();
    expect(plain.run(iopf_queue_add_device(iopf_queue_alloc(plain.kernel, "test"), plain.dev))).toBe(-ENODEV);
  });

  test("a device that leaves has its waiting groups refused; an answer that comes later is dropped", () => {
    const { kernel, run, dev, groups, answers } = setup();
    const queue = iopf_queue_alloc(kernel, "test");
    run(iopf_queue_add_device(queue, dev));
    run(iommu_report_device_fault(dev, fault(0x1000, 7)));
    run(iopf_queue_remove_device(queue, dev));
    expect(answers).toEqual([{ grpid: 7, code: "invalid" }]);
    run(iopf_group_response(groups[0]!, "success"));
    expect(answers).toHaveLength(1);
    expect(run(iopf_queue_add_device(queue, dev))).toBe(0);
  });

  test("after records were lost, incomplete groups are dropped and complete ones stay", () => {
    const { kernel, run, dev, groups } = setup();
    const queue = iopf_queue_alloc(kernel, "test");
    run(iopf_queue_add_device(queue, dev));
    run(iommu_report_device_fault(dev, fault(0x1000, 1)));
    run(iommu_report_device_fault(dev, fault(0x2000, 2, false)));
    run(iopf_queue_discard_partial(queue));
    expect(dev.iommu!.fault_param!.partial).toEqual([]);
    expect(dev.iommu!.fault_param!.faults.has(groups[0]!)).toBe(true);
  });

  test("flushing or removing a device that has none is a warning", () => {
    const { kernel, run, dev } = setup();
    expect(run(iopf_queue_flush_dev(dev))).toBe(-ENODEV);
    run(iopf_queue_remove_device(iopf_queue_alloc(kernel, "test"), dev));
    expect(kernel.warnings).toHaveLength(2);
  });
});
