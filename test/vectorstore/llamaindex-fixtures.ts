import {
  BaseEmbedding,
  BaseLLM,
  type ChatResponse,
  type ChatResponseChunk,
  type LLMChatParamsNonStreaming,
  type LLMChatParamsStreaming,
  type LLMMetadata,
} from "llamaindex";
import { WORD_DIMENSIONS, wordVector } from "./word-vectors.js";

/** {@link wordVector} for LlamaIndex. */
export class WordEmbedding extends BaseEmbedding {
  override embedInfo = { dimensions: WORD_DIMENSIONS };

  // BaseEmbedding's own is protected.
  // biome-ignore lint/complexity/noUselessConstructor: it makes the class constructible
  constructor() {
    super();
  }

  async getTextEmbedding(text: string): Promise<number[]> {
    return wordVector(text);
  }
}

/** Answers everything with the same words. */
export class CannedLLM extends BaseLLM {
  readonly #answer: string;

  constructor(answer: string) {
    super();
    this.#answer = answer;
  }

  override get metadata(): LLMMetadata {
    return {
      model: "canned",
      temperature: 0,
      topP: 1,
      contextWindow: 4096,
      tokenizer: undefined,
      structuredOutput: false,
    };
  }

  override chat(params: LLMChatParamsStreaming): Promise<AsyncIterable<ChatResponseChunk>>;
  override chat(params: LLMChatParamsNonStreaming): Promise<ChatResponse>;
  override async chat(): Promise<never> {
    const answer: ChatResponse = { message: { role: "assistant", content: this.#answer }, raw: null };
    return answer as never;
  }
}
