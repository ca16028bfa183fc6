import { execFile, spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { onTestFinished } from "vitest";
import { inRoot } from "../../scripts/paths.mjs";
import { pythonEnvironment } from "../python-environment.js";
import { createWire, type Wire } from "./wire.js";

const run = promisify(execFile);
const programs = inRoot("test/agents/python");

/** What each version of the SDK is installed with: exact versions of what the programs import. */
const REQUIREMENTS = {
  "1.3.0": ["a2a-sdk[http-server,signing,grpc]==1.3.0", "uvicorn==0.54.0"],
  "0.3.26": ["a2a-sdk[http-server,signing]==0.3.26", "uvicorn==0.54.0"],
};

export type PythonSdk = keyof typeof REQUIREMENTS;

/**
 * The interpreter of a virtual environment with the A2A SDK for Python below `.cache`; or why there is none.
 *
 * @param mayInstall - make it when it is first needed
 */
export function pythonWith(sdk: PythonSdk, mayInstall: boolean): ReturnType<typeof pythonEnvironment> {
  return pythonEnvironment(`a2a-sdk-${sdk}`, REQUIREMENTS[sdk], mayInstall);
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
