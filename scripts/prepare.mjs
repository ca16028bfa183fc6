#!/usr/bin/env node
// npm runs this after `npm install` and `npm ci` in a checkout, and before `npm pack`. The published package has no
// install script: its binary is prebuilt.
import { existsSync } from "node:fs";
import { BuildError, build } from "./build.mjs";
import { inRoot } from "./paths.mjs";

const missing = ["@napi-rs/cli", "tsdown"].filter((name) => !existsSync(inRoot("node_modules", name)));

if (missing.length === 0) {
  try {
    await build({ force: process.argv.includes("--force") });
  } catch (error) {
    console.error(error instanceof BuildError ? error.message : error);
    process.exitCode = 1;
  }
} else if (process.env.npm_lifecycle_event !== "prepare") {
  console.error(`rulake: ${missing.join(" and ")} not installed: run  npm ci  first.`);
  process.exitCode = 1;
}
// Else `npm install --omit=dev` of a checkout: nothing to build with, and nobody asked for a build.
