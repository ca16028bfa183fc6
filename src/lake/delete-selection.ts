import type { IdBatch } from "../../native/binding.js";
import { LakeError } from "../errors.js";
import { checkOptions, invalidOption } from "../options.js";
import { toFilterJson } from "./filter-json.js";
import { copyIds } from "./ids.js";
import type { DeleteSelection } from "./records.js";

/** What to delete, as the native side takes it: everything if both are missing. */
export interface Selection {
  ids: IdBatch | undefined;
  filter: string | undefined;
}

/**
 * @throws {@link LakeError} `INVALID_FILTER` for an empty filter
 * @throws {@link ConfigError} `INVALID_OPTION` unless exactly one of `ids`, `filter` and `all` is given
 */
export async function toSelection<Meta extends object>(
  selection: DeleteSelection<Meta>,
  where: string,
): Promise<Selection> {
  checkOptions(selection ?? null, ["ids", "filter", "all"], where);
  const { ids, filter, all } = selection;
  const given = [ids, filter, all].filter((choice) => choice !== undefined).length;
  if (given !== 1 || (all !== undefined && all !== true)) {
    throw invalidOption(where, "selection", "one of { ids }, { filter } and { all: true }", selection);
  }
  const json = await toFilterJson(filter, where);
  if (json === "{}") {
    throw new LakeError(`${where}: invalid filter: an empty filter would delete everything`, {
      code: "INVALID_FILTER",
      hint: "Say { all: true } if that is meant.",
    });
  }
  return { ids: ids === undefined ? undefined : await copyIds(ids, where), filter: json };
}
