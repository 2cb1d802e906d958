// SPDX-License-Identifier: MIT
/** What Translation Requests and Translated transactions have in common: the steps of the translation that both go through. */
import type { AccessView } from "../translation/access.ts";
import type { TranslationChoices } from "../choices.ts";
import type { SmmuConfig } from "../config/config.ts";
import type { ContextTable } from "../config/context.ts";
import type { StreamTable } from "../config/stream-table.ts";
import type { RegisterView } from "../ports.ts";
import type { Fault } from "../queues/faults.ts";
import type { StaleDetector } from "../caches/stale-detector.ts";
import type { Failures } from "../translation/failures.ts";
import type { Stage2 } from "../translation/stage2.ts";
import type { Stages } from "../translation/stages.ts";

export interface AtsSteps {
  readonly config: SmmuConfig;
  readonly registers: RegisterView;
  readonly choices: TranslationChoices;
  readonly fault: Fault;
  readonly detector: StaleDetector | undefined;
  readonly streams: StreamTable;
  readonly contexts: ContextTable;
  readonly stages: Stages;
  readonly stage2: Stage2;
  readonly access: AccessView;
  readonly failures: Failures;
}
