import { run } from "./step.mjs";

/** Bytes; the promise of the documentation for a binary with indexes and the lake. */
const largestBinary = 8 * 1024 * 1024;

/** Everything the published package may hold. */
const expected = [
  /^dist\/[\w./-]+\.(mjs|cjs|d\.mts|d\.cts)$/,
  /^native\/rulake\.[\w-]+\.node$/,
  /^(README\.md|CHANGELOG\.md|LICENSE|package\.json)$/,
];

/**
 * Looks at what `npm pack` would publish: only built files, every file that package.json names, a small binary.
 *
 * @returns {Promise<import("./step.mjs").Outcome>}
 */
export async function checkPackage() {
  const packed = await run("npm-pack", "npm", [
    "pack",
    "--dry-run",
    "--json",
    "--ignore-scripts",
    "--loglevel=error",
  ]);
  if (!packed.ok) return packed;
  /** @type {{ path: string; size: number }[]} */
  const files = JSON.parse(packed.output)[0].files;
  const names = files.map((file) => file.path);
  const problems = [
    ...names
      .filter((name) => !expected.some((pattern) => pattern.test(name)))
      .map((name) => `not expected: ${name}`),
    ...expected
      .filter((pattern) => !names.some((name) => pattern.test(name)))
      .map((pattern) => `missing: ${pattern}`),
    ...files
      .filter(({ path, size }) => path.endsWith(".node") && size > largestBinary)
      .map(({ path, size }) => `${path} has ${size} bytes; the limit is ${largestBinary}`),
  ];
  return { ...packed, ok: problems.length === 0, output: problems.join("\n") };
}
