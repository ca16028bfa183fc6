import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** A program of this folder in a process of its own. */
export class Program {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #output = "";
  #errors = "";

  constructor(name: string, ...args: string[]) {
    const script = fileURLToPath(new URL(name, import.meta.url));
    this.child = spawn(process.execPath, [script, ...args]);
    this.child.stdin.on("error", () => {});
    this.child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
    this.#ended = new Promise((resolve) => this.child.once("close", () => resolve()));
  }

  /** Resolves once it has printed a line. */
  async started(): Promise<this> {
    const line = new Promise<void>((resolve) => this.child.stdout.once("data", () => resolve()));
    await Promise.race([line, this.#ended]);
    if (this.#output === "") throw new Error(`it ended early: ${this.#errors}`);
    return this;
  }

  /** Resolves once its last line so far is this one. */
  async printed(line: string): Promise<void> {
    while (!this.#output.endsWith(`${line}\n`)) {
      if (this.child.exitCode !== null) throw new Error(`it ended: ${this.#errors}`);
      await sleep(5);
    }
  }

  /** Ends its input, and gives what its last line says. */
  async finish<T>(): Promise<T> {
    this.child.stdin.end();
    await this.#ended;
    const line = this.#output.trimEnd().split("\n").at(-1) ?? "";
    try {
      return JSON.parse(line) as T;
    } catch {
      throw new Error(`it printed ${JSON.stringify(line)} and ${this.#errors}`);
    }
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#ended;
  }
}
