// SPDX-License-Identifier: MIT
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    pool: "threads",
    // Files share modules within a thread: nothing here keeps state that a test could see, and loading takes a third of the time.
    isolate: false,
    coverage: { provider: "v8", include: ["src/**/*.ts"], exclude: ["**/*.d.ts"] },
  },
});
