import { defineConfig } from "vitest/config";

// Native code: every test file gets a process of its own.
export default defineConfig({
  test: {
    pool: "forks",
    include: ["test/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
