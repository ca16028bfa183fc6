/** @typedef {import("../runner/results-file.mjs").About} About */

/**
 * The head of a report: the data, the machine, the code.
 *
 * @param {Pick<import("../runner/results-file.mjs").Results<unknown>, "dataset" | "conditions"> & { entries?: About[] }} results
 * @param {string} what
 */
export function heading({ dataset, conditions, entries = [] }, what) {
  const { cpu, cores, memoryGiB, system, node, date, commit, modified, engine } = conditions;
  const older = entries.filter((entry) => entry.date < date).map(({ title }) => title);
  return `# ${what} on ${dataset.name}: ${dataset.n.toLocaleString("en")} x ${dataset.dimensions}

${dataset.source}.
${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node}, ${date.slice(0, 16)}Z, commit ${commit}${modified ? " with changes" : ""}, engine ${engine}, load average ${loads(entries.length > 0 ? entries : [conditions])} (of the whole machine; on an idle one it is near 1).${older.length > 0 ? `\nFrom an earlier run: ${older.join("; ")}.` : ""}`;
}

/** @param {{ loadAverage?: number | undefined }[]} taken */
function loads(taken) {
  const all = taken.map(({ loadAverage }) => loadAverage ?? Number.NaN);
  return `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)}`;
}

/** @param {{ title: string; version?: string | undefined }} entry */
export function nameOf({ title, version }) {
  return version ? `${title} ${version}` : title;
}

/** @param {import("../measure/request.mjs").Settings} settings */
export function settingsText(settings) {
  return (
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ") || "-"
  );
}

/**
 * @param {string[]} head the first column holds names, the others figures
 * @param {(string | number)[][]} rows
 */
export function table(head, rows) {
  const lines = [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return Number.isFinite(bytes) ? (bytes / 1e6).toFixed(1) : "-";
}

/** Three significant digits, without exponent. @param {number} value */
export function significant(value) {
  if (!Number.isFinite(value)) return "-";
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}
