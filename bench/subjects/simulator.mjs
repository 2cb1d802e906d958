// SPDX-License-Identifier: MIT
// The interpreter of tasks: steps of coroutines that only let others run, sleep, or are picked by a seed; device events on
// the heap. A bare loop over generators, which does nothing of what the interpreter does, is the measure.
import { SeededRoundRobinScheduler, Simulation, TaskGroup, sleepNs, yieldNow } from "../../dist/sim/index.js";
import { subject } from "../measure.mjs";

const STEPS = 40_000;

function* spinner(steps) {
  for (let i = 0; i < steps; i++) yield* yieldNow();
}

function* sleeper(steps) {
  for (let i = 0; i < steps; i++) yield* sleepNs(10);
}

function* bare(steps) {
  for (let i = 0; i < steps; i++) yield i;
}

function tasks(id, label, count, body, options = () => ({})) {
  return subject({
    id: `sim/${id}`,
    label,
    unit: "step",
    axes: { tasks: count },
    operations: STEPS,
    run: () => {
      const simulation = new Simulation(options());
      const group = new TaskGroup("bench");
      for (let i = 0; i < count; i++) simulation.spawn(`task ${i}`, group, body(STEPS / count));
      simulation.run();
    },
  });
}

function events(pending) {
  return subject({
    id: `sim/events/${pending}`,
    label: `device event, ${pending} pending`,
    unit: "event",
    axes: { pending },
    operations: STEPS,
    run: () => {
      const simulation = new Simulation();
      let left = STEPS;
      const tick = () => {
        if (--left > 0) simulation.after(10 + ((left * 7919) % 1000), tick);
      };
      for (let i = 0; i < pending; i++) simulation.after(i, tick);
      simulation.run();
    },
  });
}

export function simulator() {
  return [
    subject({
      id: "sim/bare",
      label: "bare loop over 4 generators",
      unit: "step",
      operations: STEPS,
      run: () => {
        const ring = Array.from({ length: 4 }, () => bare(STEPS / 4));
        for (let left = 4, turn = 0; left > 0; turn++) if (ring[turn & 3].next().done) left--;
      },
    }),
    tasks("step/4", "task step, 4 tasks", 4, spinner),
    tasks("step/1000", "task step, 1000 tasks", 1000, spinner),
    tasks("seeded/4", "task step, 4 tasks, seeded order", 4, spinner, () => ({ scheduler: new SeededRoundRobinScheduler(1) })),
    tasks("sleep/4", "task step that sleeps, 4 tasks", 4, sleeper),
    events(1),
    events(1000),
  ];
}
