import { defineConfig } from "vitest/config";

const heavy = process.env.RULAKE_HEAVY === "1";

/** Tests that measure delays: another test file on the same cores would be measured too. */
const alone = ["test/**/event-loop*.test.ts"];

// Native code: every test file gets a process of its own.
export default defineConfig({
  test: {
    pool: "forks",
    testTimeout: heavy ? 600_000 : 120_000,
    hookTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          name: "tests",
          include: ["test/**/*.test.ts"],
          exclude: heavy ? alone : [...alone, "test/heavy/**"],
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: alone,
          exclude: heavy ? [] : ["test/heavy/**"],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
