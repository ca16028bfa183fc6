import { defineConfig } from "vitest/config";

const heavy = process.env.RULAKE_HEAVY === "1";

// Native code: every test file gets a process of its own.
export default defineConfig({
  test: {
    pool: "forks",
    include: ["test/**/*.test.ts"],
    exclude: heavy ? [] : ["test/heavy/**"],
    testTimeout: heavy ? 600_000 : 60_000,
    hookTimeout: 120_000,
  },
});
