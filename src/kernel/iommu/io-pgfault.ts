// SPDX-License-Identifier: GPL-2.0-only
/**
 * Page faults of devices: an IOMMU driver reports what a device could not reach; faults of a group are collected until the
 * last one; the handler of the domain repairs them in a work item and answers the device.
 *
 * After Linux 7.1 drivers/iommu/io-pgfault.c: iommu_report_device_fault, iopf_group_response, iopf_queue_alloc,
 * iopf_queue_add_device, iopf_queue_remove_device, iopf_queue_flush_dev, iopf_queue_discard_partial, iopf_queue_free. Left out:
 * domains of user space for PASIDs that have none, failure of allocations (a group is always there).
 */
import type { Coroutine } from "../../sim/index.ts";
import { Mutex } from "../locking/mutex.ts";
import type { Device } from "../base/device.ts";
import { EBUSY, EINVAL, ENODEV } from "../errno.ts";
import type { Kernel } from "../kernel.ts";
import { type Work, type Workqueue, alloc_workqueue, flush_workqueue } from "../time/workqueue.ts";
import { dev_iommu_ops } from "./default-domain.ts";
import type { IommuDomain, IommuFault, IommuPageResponse, IommuPageResponseCode } from "./types.ts";

/** Page faults of the devices of one IOMMU. */
export interface IopfQueue {
  readonly name: string;
  readonly wq: Workqueue;
  readonly devices: Set<IommuFaultParam>;
  readonly lock: Mutex;
}

/** What a device that reports faults has. */
export class IommuFaultParam {
  readonly dev: Device;
  readonly queue: IopfQueue;
  readonly lock: Mutex;
  /** Faults whose group is not complete. */
  partial: IommuFault[] = [];
  /** Groups that wait for an answer. */
  readonly faults: Set<IopfGroup> = new Set();

  constructor(dev: Device, queue: IopfQueue) {
    this.dev = dev;
    this.queue = queue;
    this.lock = new Mutex(dev.kernel, `faults of ${dev.name}`, { key: "&fault_param->lock" });
  }
}

/** `struct iopf_group`: faults that are answered together. */
export interface IopfGroup {
  readonly fault_param: IommuFaultParam;
  readonly domain: IommuDomain;
  /** The one that is answered is the last. */
  readonly faults: readonly IommuFault[];
  /** What handles it, once it is queued. */
  work?: Work;
}

/** A queue with its workers. Groups are handled in any order. */
export function iopf_queue_alloc(kernel: Kernel, name: string): IopfQueue {
  return {
    name,
    wq: alloc_workqueue(kernel, `iopf_queue/${name}`),
    devices: new Set(),
    lock: new Mutex(kernel, `iopf_queue ${name}`, { key: "&queue->lock" }),
  };
}

/** The IOMMU goes away. */
export function* iopf_queue_free(queue: IopfQueue): Coroutine<void> {
  for (const { dev } of queue.devices) yield* iopf_queue_remove_device(queue, dev);
  yield* flush_workqueue(queue.wq);
}

/** Lets a device report faults. @returns 0; -ENODEV: its IOMMU driver cannot answer; -EBUSY: it has a queue */
export function* iopf_queue_add_device(queue: IopfQueue, dev: Device): Coroutine<number> {
  const { iommu } = dev;
  if (iommu === null || !dev_iommu_ops(dev)?.page_response) return -ENODEV;
  return yield* queue.lock.with(dev.name, function* () {
    if (iommu.fault_param) return -EBUSY;
    const param = new IommuFaultParam(dev, queue);
    iommu.fault_param = param;
    queue.devices.add(param);
    return 0;
  });
}

/** The device reports no more; what waits for an answer gets a refusal, whoever handles it. */
export function* iopf_queue_remove_device(queue: IopfQueue, dev: Device): Coroutine<void> {
  yield* queue.lock.with(dev.name, function* () {
    const { iommu } = dev;
    const param = iommu?.fault_param;
    if (!iommu || !param || param.queue !== queue) return dev.kernel.warn("page faults of a device that has no queue", dev);
    yield* param.lock.with(dev.name, function* () {
      param.partial = [];
      for (const group of param.faults) {
        yield* respond(dev, group.faults.at(-1)!, "invalid");
        param.faults.delete(group);
      }
    });
    queue.devices.delete(param);
    delete iommu.fault_param;
  });
}

/** Waits until what was reported has been handled; before a PASID gets another address space. @returns 0 or -ENODEV */
export function* iopf_queue_flush_dev(dev: Device): Coroutine<number> {
  const param = dev.iommu?.fault_param;
  if (!param) {
    dev.kernel.warn("page faults flushed of a device that has no queue", dev);
    return -ENODEV;
  }
  yield* flush_workqueue(param.queue.wq);
  return 0;
}

/** The hardware lost records: incomplete groups will never be complete. */
export function* iopf_queue_discard_partial(queue: IopfQueue): Coroutine<void> {
  yield* queue.lock.with(queue.name, function* () {
    for (const param of queue.devices)
      yield* param.lock.with(queue.name, function* () {
        param.partial = [];
      });
  });
}

function* respond(dev: Device, fault: IommuFault, code: IommuPageResponseCode): Coroutine<void> {
  const response: IommuPageResponse = { grpid: fault.grpid, code, ...(fault.pasid === undefined ? {} : { pasid: fault.pasid }) };
  const ops = dev_iommu_ops(dev);
  if (ops?.page_response) yield* ops.page_response(dev, fault, response);
}

/** Answers a group, unless it was answered when its device left the queue. */
export function* iopf_group_response(group: IopfGroup, code: IommuPageResponseCode): Coroutine<void> {
  const { fault_param } = group;
  yield* fault_param.lock.with(fault_param.dev.name, function* () {
    if (!fault_param.faults.has(group)) return;
    yield* respond(fault_param.dev, group.faults.at(-1)!, code);
    fault_param.faults.delete(group);
  });
}

/** The domain that the fault is of, if it handles faults. */
function find_fault_handler(dev: Device, { pasid }: IommuFault): IommuDomain | null {
  const group = dev.iommu_group;
  const domain = pasid === undefined ? group?.domain : group?.pasid_array.get(pasid);
  return domain?.iopf_handler ? domain : null;
}

/**
 * For an IOMMU driver, in a thread.
 * @returns 0: it will be answered or need not be; -EINVAL: nobody handles faults of this device, and it has been refused
 */
export function* iommu_report_device_fault(dev: Device, fault: IommuFault): Coroutine<number> {
  const domain = find_fault_handler(dev, fault);
  const param = dev.iommu?.fault_param;
  if (domain !== null && !param) dev.kernel.warn("domain with a page fault handler, but the device has no queue", dev);
  if (domain === null || !param) {
    yield* respond(dev, fault, "invalid");
    return -EINVAL;
  }
  const group = yield* param.lock.with(dev.name, function* (): Coroutine<IopfGroup | null> {
    if (!fault.last) {
      param.partial.push(fault);
      return null;
    }
    const mine = param.partial.filter(({ grpid }) => grpid === fault.grpid);
    param.partial = param.partial.filter(({ grpid }) => grpid !== fault.grpid);
    const made: IopfGroup = { fault_param: param, domain, faults: [...mine, fault] };
    param.faults.add(made);
    return made;
  });
  if (group === null || domain.iopf_handler?.(group) === 0) return 0;
  dev.kernel.printk.dev_warn(dev, `iopf with pasid ${fault.pasid ?? 0} aborted`);
  yield* iopf_group_response(group, "failure");
  return 0;
}
