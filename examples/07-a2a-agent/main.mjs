// A LangChain agent gives work to a remote A2A agent, shows its updates as they come, and asks you what it asks back.
// The remote agent is served from here as well, so that nothing else is needed; pass the URL of another to use that.
//   node examples/07-a2a-agent/main.mjs [https://agent.example]
// With OPENAI_API_KEY, ANTHROPIC_API_KEY or OLLAMA_MODEL that model decides what to ask; otherwise one that plays a script.
import { AIMessage } from "@langchain/core/messages";
import { Command, MemorySaver } from "@langchain/langgraph";
import { createAgent, fakeModel } from "langchain";
import { A2APeer, serveAsA2A } from "rulake/agents";
import { createA2ATool } from "rulake/langchain";
import { chatModel } from "../00-ask-the-docs/chat-model.mjs";

const steps = ["sanding the wood", "first coat", "second coat"];
const painter = await serveAsA2A({
  card: { name: "Paint shop", description: "Paints whatever it is told to, in any colour" },
  async *handler({ text, history }) {
    const thing = history.find(({ role }) => role === "user")?.text;
    if (thing === undefined) return yield { inputRequired: "Which colour would you like?" };
    for (const step of steps) {
      yield { status: step };
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    yield* ["Done: ", thing.toLowerCase(), ", ", text, ", dry tomorrow at nine."];
  },
});

const url = process.argv[2] ?? (await painter.listen()).url;
const peer = await A2APeer.connect(url, { network: { allowLoopback: true } });
const tool = createA2ATool(peer);

const { model, name } = await chatModel(undefined, process.env);
const scripted = fakeModel()
  .respondWithTools([{ name: tool.name, args: { message: "The garden bench" }, id: "call-1" }])
  .respond(new AIMessage("Your bench will be dry tomorrow at nine."));
const agent = createAgent({ model: model ?? scripted, tools: [tool], checkpointer: new MemorySaver() });
console.log(`Model: ${model === undefined ? "a script" : name}; remote agent: ${peer.card.name} at ${url}\n`);

/** @param {any} input what the agent is told, or the answer to its question */
async function run(input) {
  const config = /** @type {any} */ ({
    configurable: { thread_id: "example" },
    streamMode: ["custom", "updates"],
  });
  let question;
  for await (const [mode, chunk] of /** @type {AsyncIterable<any>} */ (await agent.stream(input, config))) {
    if (mode === "custom") {
      const { type, state, text = "" } = chunk.event;
      if (type === "artifact") process.stdout.write(text);
      else if (text !== "") console.log(`  [${state}] ${text}`);
      else if (state === "completed") console.log();
    } else if (chunk.__interrupt__ !== undefined) question = chunk.__interrupt__[0].value;
    else {
      const said = chunk.model_request?.messages.at(-1);
      if (said !== undefined && said.tool_calls.length === 0) console.log(`\n${said.text}`);
    }
  }
  return question;
}

let question = await run({ messages: [{ role: "user", content: "Have the garden bench painted, please." }] });
while (question !== undefined) {
  const answer = "dark green";
  console.log(`  ${question.agent} asks: ${question.text}  ->  ${answer}`);
  question = await run(new Command({ resume: answer }));
}

await peer.close();
await painter.close();
