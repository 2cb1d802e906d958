// SPDX-License-Identifier: MIT
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    pool: "threads",
    coverage: { provider: "v8", include: ["src/**/*.ts"], exclude: ["**/*.d.ts"] },
  },
});
