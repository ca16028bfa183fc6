import path from "node:path";
import { fileURLToPath } from "node:url";
import { IndexError } from "../errors.js";
import { describe } from "../options.js";

/**
 * An absolute path, fixed now: the working directory may be another one by the time a queued job runs.
 *
 * @throws {@link IndexError} `INVALID_ARGUMENT`
 */
export function toFilePath(file: string | URL, where: string): string {
  // By shape: test runners and other realms bring a URL class of their own.
  if (typeof file === "object" && file?.protocol === "file:") return fileURLToPath(file.href);
  if (typeof file === "string" && file !== "" && !file.includes("\0")) return path.resolve(file);
  throw new IndexError(`${where}: path must be a non-empty string or a file URL, not ${describe(file)}`, {
    code: "INVALID_ARGUMENT",
    context: { argument: "path" },
  });
}
