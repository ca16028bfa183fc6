import { existsSync } from "node:fs";
import { defineConfig } from "tsdown";

const entries = {
  index: "src/index.ts",
  langchain: "src/langchain.ts",
  llamaindex: "src/llamaindex.ts",
  embeddings: "src/embeddings/index.ts",
  "embedding-worker": "src/embeddings/worker.ts",
};

export default defineConfig({
  entry: Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file))),
  format: ["esm", "cjs"],
  dts: true,
  platform: "node",
  target: "node20",
  shims: true,
  clean: true,
  outDir: "dist",
});
