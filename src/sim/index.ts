// SPDX-License-Identifier: MIT
/** Virtual time, coroutine tasks, seeded choices, the trace sink. Imports nothing. */
export { Trace, silentTrace, type TraceRecord, type TraceSink } from "./trace.ts";
export { Prng } from "./prng.ts";
export { EventHeap, ScheduledEvent } from "./event-heap.ts";
export {
  type Scheduler,
  type TaskView,
  RunOrderScheduler,
  SeededRoundRobinScheduler,
  ReplayScheduler,
  ReplayDivergedError,
} from "./scheduler.ts";
export { encodeChoices, decodeChoices } from "./choices.ts";
export { type Action, type Coroutine, type TaskState, Task, TaskGroup, never, park, pollUntil, sleepNs, yieldNow } from "./task.ts";
export { Completion, Mutex, WaitQueue, waitEvent } from "./wait.ts";
export {
  Simulation,
  SimulationMisuseError,
  SleepInAtomicError,
  type RunOutcome,
  type SimEvents,
  type SimulationOptions,
  type WaitingTask,
} from "./simulation.ts";
