// Opens a bundle again and again and prints the most memory it had, first after five times, then at the end. Nothing
// asks for garbage collection: to V8 a collection is a small object. Arguments: the directory of the bundle, how many times.
import { RuLake } from "rulake";

const [dir = "", times = "1"] = process.argv.slice(2);
const peaks = [];
for (let i = 1; i <= Number(times); i++) {
  const copy = await RuLake.openBundle(dir);
  await copy.search(new Float32Array(copy.dimensions ?? 0).fill(1));
  await copy.close();
  if (i === 5 || i === Number(times)) peaks.push(process.resourceUsage().maxRSS * 1024);
}
process.stdout.write(`${JSON.stringify(peaks)}\n`);
