import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { inRoot } from "../scripts/paths.mjs";

const run = promisify(execFile);

/** Longest time that an installation may take, in milliseconds. */
const INSTALL_MS = 100_000;

/**
 * The interpreter of a virtual environment below `.cache`; or why there is none.
 *
 * @param name - what it is for; others with it have other requirements
 * @param requirements - as pip takes them, exact versions of what programs import
 * @param mayInstall - make it when it is first needed: takes pip and an index of packages
 */
export async function pythonEnvironment(
  name: string,
  requirements: readonly string[],
  mayInstall: boolean,
): Promise<{ python: string } | { missing: string }> {
  const set = createHash("sha256").update(requirements.join("\n")).digest("hex").slice(0, 8);
  const home = inRoot(".cache/python", `${name}-${set}`);
  const inside = process.platform === "win32" ? "Scripts/python.exe" : "bin/python";
  const python = path.join(home, inside);
  if (existsSync(python)) return { python };
  if (!mayInstall) return { missing: `${name} for Python is installed by npm run test:heavy` };
  // Renamed when it is complete; a virtual environment works from another place as long as python is what is called.
  const staged = `${home}.${process.pid}`;
  try {
    const anyPython = process.platform === "win32" ? "python" : "python3";
    // Without a pip of its own, which takes longer to install than the packages.
    await run(anyPython, ["-m", "venv", "--without-pip", staged], { timeout: INSTALL_MS });
    const pip = ["-m", "pip", "--python", path.join(staged, inside), "install", "--quiet"];
    await run(anyPython, [...pip, "--disable-pip-version-check", ...requirements], { timeout: INSTALL_MS });
    renameSync(staged, home);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    if (existsSync(python)) return { python };
    return { missing: `no ${name} for Python: ${String(error).split("\n")[0]}` };
  }
  return { python };
}
