// SPDX-License-Identifier: MIT
/** Every Non-secure register of pages 0 and 1, in order of offset (IHI 0070 §6.2, §6.3). */
import type { SmmuRegister } from "./register-types.ts";
import { controlRegisterTable } from "./registers-control.ts";
import { identificationRegisterTable } from "./registers-coresight.ts";
import { errorRegisterTable } from "./registers-errors.ts";
import { idRegisterTable } from "./registers-id.ts";
import { optionalRegisterTable } from "./registers-optional.ts";
import { page1RegisterTable, queueRegisterTable } from "./registers-queues.ts";

export type { FieldReset, RegisterField, RegisterGuard, SmmuFeature, SmmuRegister } from "./register-types.ts";

export const smmuRegisters: readonly SmmuRegister[] = [
  ...idRegisterTable,
  ...controlRegisterTable,
  ...errorRegisterTable,
  ...queueRegisterTable,
  ...optionalRegisterTable,
  ...identificationRegisterTable,
  ...page1RegisterTable,
];
