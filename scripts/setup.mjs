import { existsSync, readFileSync } from "node:fs";
import { BuildError, build } from "./build.mjs";
import { withLock } from "./lock.mjs";
import { inRoot } from "./paths.mjs";
import { explain, run } from "./step.mjs";

const minimumNode = [20, 19];

/**
 * @typedef {{ version?: string; integrity?: string; link?: boolean; optional?: boolean; peer?: boolean }} LockedPackage
 * @typedef {Record<string, LockedPackage>} LockedPackages
 */

/** @returns {LockedPackages} */
const lockedPackages = (/** @type {string} */ file) =>
  JSON.parse(readFileSync(inRoot(file), "utf8")).packages;

/** True when node_modules holds exactly what package-lock.json asks for, optional packages of other platforms aside. */
function isInstalled() {
  if (!existsSync(inRoot("node_modules/.package-lock.json"))) return false;
  const installed = lockedPackages("node_modules/.package-lock.json");
  return Object.entries(lockedPackages("package-lock.json")).every(([where, wanted]) => {
    if (where === "") return true;
    const found = installed[where];
    if (found === undefined) return wanted.optional === true;
    return (
      found.version === wanted.version && found.integrity === wanted.integrity && found.link === wanted.link
    );
  });
}

async function install() {
  console.log("rulake: installing the development packages (about a minute the first time)");
  // `npm install --no-save` installs what the lock file says, like `npm ci`, but neither deletes node_modules under
  // programs that use it nor refuses a lock file without the packages of other platforms. The build follows as a step
  // of its own, where its messages are not wrapped in npm's.
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  const args = ["install", "--no-save", "--prefer-offline", "--ignore-scripts", ...quiet];
  const installed = await run("npm-install", "npm", args);
  if (!installed.ok || !isInstalled()) {
    explain(installed);
    throw new BuildError("rulake: the packages of package-lock.json could not be installed (see above).");
  }
  console.log(`rulake: packages installed in ${installed.seconds.toFixed(0)} s`);
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = minimumNode;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new BuildError(
    `rulake: needs Node.js ${minimumNode.join(".")} or newer; this is ${process.versions.node}.`,
  );
}

/** From a fresh clone to something that runs: checks Node, installs packages, builds what is stale. Quick when done. */
async function setup() {
  requireNode();
  await withLock("install", async () => {
    if (!isInstalled()) await install();
  });
  await build();
}

/** Runs {@link setup}; a problem is printed and ends the process with exit code 1. */
export async function setupOrExit() {
  try {
    await setup();
  } catch (error) {
    console.error(error instanceof BuildError ? error.message : error);
    process.exit(1);
  }
}
