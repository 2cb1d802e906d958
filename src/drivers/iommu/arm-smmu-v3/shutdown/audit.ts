// SPDX-License-Identifier: GPL-2.0-only
/**
 * The shutdown variant `audit`: refuse everything, and write down who comes.
 *
 * In Linux this is done by hand: one patches the SMMU's hook to abort and to sleep, and reads the log (Tyler Hicks on
 * linux-arm-kernel, March 2024). An abort by GBPA or by an STE of Config 0 is silent (IHI 0070 §3.11, §5.2), so each STE is
 * made invalid instead: the transaction is aborted as well, and C_BAD_STE is recorded with its StreamID. StreamIDs without a
 * level-2 table are C_BAD_STREAMID anyway. Translation, event queue and interrupts stay on; the next kernel's driver ends it.
 *
 * Left out: addresses are not known, since translation is not reached. What the queue loses by overflow is not counted.
 */
import { dev_info, dev_warn, type KernelBuffer, msleep } from "../../../../kernel/index.ts";
import type { Coroutine } from "../../../../sim/index.ts";
import * as R from "../arm-smmu-v3-regs.ts";
import { arm_smmu_cmdq_issue_cmd_with_sync } from "../queues/cmdq.ts";
import type { ArmSmmuDevice } from "../device.ts";
import type { ArmSmmuEvent } from "../queues/events.ts";
import { hex } from "../hex.ts";
import { arm_smmu_adopt_l2 } from "../tables/strtab.ts";

/** How long the hook listens: three frames of a display at 60 Hz. */
const LISTEN_MS = 50;

/** What came from one StreamID since the audit began. */
interface Heard {
  readonly client: string;
  count: number;
}

export class ArmSmmuAudit {
  readonly #smmu: ArmSmmuDevice;
  readonly #heard = new Map<number, Heard>();

  constructor(smmu: ArmSmmuDevice) {
    this.#smmu = smmu;
  }

  /** The event thread took a record. The first of each StreamID is said at once: the hook may be the last to run. */
  heard({ sid, client }: ArmSmmuEvent): void {
    const known = this.#heard.get(sid);
    if (known !== undefined) {
      known.count++;
      return;
    }
    this.#heard.set(sid, { client, count: 1 });
    dev_warn(this.#smmu.dev, `audit: DMA after shutdown from ${client} sid: ${hex(sid)}`);
  }

  report(): void {
    const { dev } = this.#smmu;
    if (this.#heard.size === 0) dev_info(dev, `audit: no DMA in ${LISTEN_MS} ms`);
    for (const [sid, { client, count }] of [...this.#heard].sort(([a], [b]) => a - b)) {
      dev_warn(dev, `audit: ${count} transactions in ${LISTEN_MS} ms from ${client} sid: ${hex(sid)}`);
    }
  }
}

function invalidate_stes(table: KernelBuffer): void {
  for (let at = 0; at < table.size; at += R.ARM_SMMU_ENTRY_SIZE) table.set64(at, table.get64(at) & ~R.STRTAB_STE_0_V);
}

/**
 * Of an adopted table this driver knows the level-2 tables of its own devices only; the crashed kernel's others are in force as
 * well. One that cannot be believed any more is said and left alone.
 */
function every_ste(smmu: ArmSmmuDevice): KernelBuffer[] {
  const { l2, num_ents, table } = smmu.strtab;
  if (l2 === null) return [table];
  if (smmu.adopted) for (let index = 0; index < num_ents; index++) arm_smmu_adopt_l2(smmu, index * R.STRTAB_NUM_L2_STES, l2);
  return [...l2.values()];
}

/** The hook. It returns with everything but the STEs as it was. */
export function* arm_smmu_device_audit(smmu: ArmSmmuDevice): Coroutine<void> {
  const audit = new ArmSmmuAudit(smmu);
  smmu.audit = audit;
  for (const stes of every_ste(smmu)) invalidate_stes(stes);
  yield* arm_smmu_cmdq_issue_cmd_with_sync(smmu, { opcode: R.CMDQ_OP_CFGI_ALL });
  dev_info(smmu.dev, `audit: nothing passes any more; listening for ${LISTEN_MS} ms`);
  yield* msleep(LISTEN_MS);
  audit.report();
}
