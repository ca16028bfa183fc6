import { heading, nameOf, significant, table } from "./table.mjs";

/** @typedef {import("../commands/overhead.mjs").Results} Results */

/** @param {Results} results */
export function toMarkdown(results) {
  return `${heading(results, "Calls from JavaScript")}

One search at a time with the default options, ${results.k} hits, in microseconds; the ways take turns, medians of the rounds. In brackets what the call takes beyond Rust.

![median times](${results.name}.svg)

${table(["index and way", "CPU", "p50", "p99"], results.entries.flatMap(rows))}
`;
}

/** @param {import("../commands/overhead.mjs").Measured} entry */
function rows(entry) {
  const rust = entry.ways.find(({ id }) => id === "rust");
  return entry.ways.map((way) => {
    const cell = (/** @type {"cpuUs" | "p50Us" | "p99Us"} */ name) => {
      const more = rust && way !== rust ? ` (+${significant(way[name] - rust[name])})` : "";
      return `${significant(way[name])}${more}`;
    };
    return [`${nameOf(entry)}: ${way.what}`, cell("cpuUs"), cell("p50Us"), cell("p99Us")];
  });
}
