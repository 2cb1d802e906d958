// SPDX-License-Identifier: MIT
// The interpreter of tasks: steps of coroutines that only let others run, and device events on the heap.
import { Simulation, TaskGroup, yieldNow } from "../dist/sim/index.js";
import { subject } from "./measure.mjs";

const STEPS = 40_000;

function* spinner(steps) {
  for (let i = 0; i < steps; i++) yield* yieldNow();
}

export function simulatorSubjects() {
  return [
    subject("task step, 4 tasks", "step", STEPS, () => {
      const simulation = new Simulation();
      const group = new TaskGroup("bench");
      for (let i = 0; i < 4; i++) simulation.spawn(`task ${i}`, group, spinner(STEPS / 4));
      simulation.run();
    }),
    subject("device event", "event", STEPS, () => {
      const simulation = new Simulation();
      let left = STEPS;
      const tick = () => {
        if (--left > 0) simulation.after(10, tick);
      };
      simulation.after(10, tick);
      simulation.run();
    }),
  ];
}
