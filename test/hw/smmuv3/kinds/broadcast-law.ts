// SPDX-License-Identifier: MIT
/** Which TLB entries a broadcast TLBI reaches, written down from IHI 0070 §3.17 and DDI 0487 D8.17.5 alone. */
import type { BroadcastTlbi, TlbEntry } from "../../../../src/hw/index.ts";

export type Shown = Pick<TlbEntry, "kind" | "nested" | "vmid" | "asid" | "aset" | "global" | "hi" | "lo" | "size" | "granule" | "level">;

const EL1 = 0;
const EL2 = 1;
const EL2_E2H = 2;
const IPA = 3;

/** True if the entry has to go. Those with ASET 1 have the choice where an ASID is matched: they stay. */
export function reached(entry: Shown, tlbi: BroadcastTlbi): boolean {
  const { operation, vmid = 0, asid = 0, e2h = false } = tlbi;
  // A range and the last level are a matter of the address.
  const name = operation.replace(/^R/, "").replace(/^(VAA?|IPAS2)L/, "$1");
  const own = entry.global || entry.asid === asid;
  const shared = entry.aset === 0;
  const at = covered(entry, tlbi);
  switch (name) {
    case "VMALLE1":
      return entry.kind === EL1 && entry.vmid === vmid;
    case "VMALLS12E1":
      return (entry.kind === EL1 || entry.kind === IPA) && entry.vmid === vmid;
    case "ALLE1":
      return entry.kind === EL1 || entry.kind === IPA;
    case "ASIDE1":
      return entry.kind === EL1 && entry.vmid === vmid && !entry.global && entry.asid === asid && shared;
    case "VAE1":
      return entry.kind === EL1 && entry.vmid === vmid && own && at && shared;
    case "VAAE1":
      return entry.kind === EL1 && entry.vmid === vmid && at;
    case "IPAS2E1":
      return entry.kind === IPA && entry.vmid === vmid && at;
    case "ALLE2":
      return entry.kind === (e2h ? EL2_E2H : EL2);
    case "ASIDE2":
      return e2h && entry.kind === EL2_E2H && !entry.global && entry.asid === asid && shared;
    case "VAE2":
      return e2h ? entry.kind === EL2_E2H && own && at && shared : entry.kind === EL2 && at && shared;
    case "VAAE2":
      return e2h ? entry.kind === EL2_E2H && at : entry.kind === EL2 && at && shared;
    default:
      return false;
  }
}

/** The operands of these tests lie below 2^48. With a hint that is wrong for an entry, the entry need not go: it stays. */
function covered(entry: Shown, tlbi: BroadcastTlbi): boolean {
  const { operation, addressHi = 0, addressLo = 0, tg = 0, ttl = 0, num = 0, scale = 0 } = tlbi;
  if (tg !== 0 && (entry.granule !== [0, 12, 14, 16][tg] || (ttl !== 0 && entry.level !== ttl))) return false;
  const granule = [4096, 4096, 16384, 65536][tg]!;
  const from = addressHi * 2 ** 32 + addressLo - (addressLo % 4096);
  const to = operation.startsWith("R") ? from + (num + 1) * 2 ** (5 * scale + 1) * granule : from + 1;
  const start = entry.hi * 2 ** 32 + entry.lo;
  return start < to && from < start + 2 ** entry.size;
}
