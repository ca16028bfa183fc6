import { defineConfig } from "tsdown";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    langchain: "src/langchain.ts",
    llamaindex: "src/llamaindex.ts",
    embeddings: "src/embeddings/index.ts",
    agents: "src/agents/index.ts",
    "embedding-worker": "src/embeddings/worker.ts",
  },
  format: ["esm", "cjs"],
  dts: true,
  platform: "node",
  target: "node20",
  shims: true,
  clean: true,
  outDir: "dist",
});
