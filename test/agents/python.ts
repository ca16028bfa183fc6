import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { createWire, type Wire } from "./wire.js";

const run = promisify(execFile);
const programs = inRoot("test/agents/python");

/** What each version of the SDK is installed with: exact versions of what the programs import. */
const REQUIREMENTS = {
  "1.3.0": ["a2a-sdk[http-server,signing,grpc]==1.3.0", "uvicorn==0.54.0"],
  "0.3.26": ["a2a-sdk[http-server,signing]==0.3.26", "uvicorn==0.54.0"],
};

export type PythonSdk = keyof typeof REQUIREMENTS;

/** Longest time that an installation may take, in milliseconds. */
const INSTALL_MS = 100_000;

/**
 * The interpreter of a virtual environment with the A2A SDK for Python below `.cache`; or why there is none.
 *
 * @param mayInstall - make it when it is first needed: takes pip and an index of packages
 */
export async function pythonWith(
  sdk: PythonSdk,
  mayInstall: boolean,
): Promise<{ python: string } | { missing: string }> {
  const set = createHash("sha256").update(REQUIREMENTS[sdk].join("\n")).digest("hex").slice(0, 8);
  const home = inRoot(".cache/python", `a2a-sdk-${sdk}-${set}`);
  const inside = process.platform === "win32" ? "Scripts/python.exe" : "bin/python";
  const python = path.join(home, inside);
  if (existsSync(python)) return { python };
  if (!mayInstall) return { missing: `a2a-sdk ${sdk} for Python is installed by npm run test:heavy` };
  // Renamed when it is complete; a virtual environment works from another place as long as python is what is called.
  const staged = `${home}.${process.pid}`;
  try {
    const anyPython = process.platform === "win32" ? "python" : "python3";
    // Without a pip of its own, which takes longer to install than the SDK.
    await run(anyPython, ["-m", "venv", "--without-pip", staged], { timeout: INSTALL_MS });
    const pip = ["-m", "pip", "--python", path.join(staged, inside), "install", "--quiet"];
    await run(anyPython, [...pip, "--disable-pip-version-check", ...REQUIREMENTS[sdk]], {
      timeout: INSTALL_MS,
    });
    renameSync(staged, home);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    if (existsSync(python)) return { python };
    return { missing: `no a2a-sdk ${sdk} for Python: ${String(error).split("\n")[0]}` };
  }
  return { python };
}

/**
 * A program beside this file that serves an agent, until the test is done; reached through wires that can be cut: one for
 * HTTP and another for gRPC.
 */
export async function pythonAgent(
  python: string,
  program: string,
): Promise<{ origin: string; wire: Wire; grpcWire: Wire }> {
  const [wire, grpcWire] = [await createWire(), await createWire()];
  const origin = `http://127.0.0.1:${wire.port}`;
  const argv = [path.join(programs, program), origin, `127.0.0.1:${grpcWire.port}`];
  const child = spawn(python, argv, { stdio: ["pipe", "pipe", "inherit"] });
  onTestFinished(() => void child.stdin.end());
  for await (const line of createInterface(child.stdout)) {
    const { port, grpc } = JSON.parse(line) as { port: number; grpc?: number };
    wire.leadTo(port);
    if (grpc !== undefined) grpcWire.leadTo(grpc);
    return { origin, wire, grpcWire };
  }
  throw new Error(`${program} ended with ${child.exitCode}`);
}

/** Runs a program beside this file that calls an agent, and gives what it printed. */
export async function pythonCaller(python: string, program: string, args: string[]): Promise<unknown> {
  const { stdout } = await run(python, [path.join(programs, program), ...args], { timeout: 50_000 });
  return JSON.parse(stdout);
}
