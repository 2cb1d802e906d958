// SPDX-License-Identifier: MIT
/** Page 0: the component and peripheral identification block at 0xFD0 (IHI 0070 §6.3.170). */
import type { SmmuRegister } from "./register-types.ts";

export const identificationRegisterTable: readonly SmmuRegister[] = [
  {
    name: "SMMU_PIDR4",
    offset: 0x0fd0, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "SIZE", hi: 7, lo: 4, reset: 0 },
      { name: "DES_2", hi: 3, lo: 0, reset: "impdef", what: "JEP106 continuation code (Arm 0x4)" },
    ],
  },
  {
    name: "SMMU_PIDR5",
    offset: 0x0fd4, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [],
  },
  {
    name: "SMMU_PIDR6",
    offset: 0x0fd8, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [],
  },
  {
    name: "SMMU_PIDR7",
    offset: 0x0fdc, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [],
  },
  {
    name: "SMMU_PIDR0",
    offset: 0x0fe0, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "PART_0", hi: 7, lo: 0, reset: "impdef", what: "part number [7:0]" },
    ],
  },
  {
    name: "SMMU_PIDR1",
    offset: 0x0fe4, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "DES_0", hi: 7, lo: 4, reset: "impdef", what: "JEP106 [3:0]" },
      { name: "PART_1", hi: 3, lo: 0, reset: "impdef", what: "part number [11:8]" },
    ],
  },
  {
    name: "SMMU_PIDR2",
    offset: 0x0fe8, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "REVISION", hi: 7, lo: 4, reset: "impdef" },
      { name: "JEDEC", hi: 3, lo: 3, reset: 1 },
      { name: "DES_1", hi: 2, lo: 0, reset: "impdef", what: "JEP106 [6:4]" },
    ],
  },
  {
    name: "SMMU_PIDR3",
    offset: 0x0fec, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "REVAND", hi: 7, lo: 4, reset: "impdef" },
      { name: "CMOD", hi: 3, lo: 0, reset: "impdef" },
    ],
  },
  {
    name: "SMMU_CIDR0",
    offset: 0x0ff0, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "Preamble", hi: 7, lo: 0, reset: 13 },
    ],
  },
  {
    name: "SMMU_CIDR1",
    offset: 0x0ff4, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "CLASS", hi: 7, lo: 4, reset: 15 },
      { name: "Preamble", hi: 3, lo: 0, reset: 0 },
    ],
  },
  {
    name: "SMMU_CIDR2",
    offset: 0x0ff8, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "Preamble", hi: 7, lo: 0, reset: 5 },
    ],
  },
  {
    name: "SMMU_CIDR3",
    offset: 0x0ffc, page: 0, width: 32, access: "RO", section: "§6.3.170",
    fields: [
      { name: "Preamble", hi: 7, lo: 0, reset: 177 },
    ],
  },
];
