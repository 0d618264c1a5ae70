// Asks an endpoint through OpenAI's package for Node, the AI SDK and, where it is there, promptfoo:
// node ask.mjs URL KEY MODEL, in a folder with them.
// Prints a JSON object like ask.py.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, key, model] = process.argv.slice(2);
const here = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const load = async (name) => import(pathToFileURL(here.resolve(name)));
const question = "I would like 3 boxes of apples, please.";
const messages = [{ role: "user", content: question }];
const found = {};
const check = async (name, ask) => {
  try { found[name] = (await ask()) ? "ok" : "no answer"; } catch (error) { found[name] = String(error).slice(0, 300); }
};

const { default: OpenAI } = await load("openai");
const { zodResponseFormat } = await load("openai/helpers/zod");
const { z } = await load("zod");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
const { generateObject, generateText, streamText } = await load("ai");
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const order = z.object({ intent: z.string(), quantity: z.number().nullable() });

await check("openai (npm): chat", async () =>
  (await client.chat.completions.create({ model, messages })).choices[0].message.content);
await check("openai (npm): stream", async () => {
  let text = "";
  for await (const part of await client.chat.completions.create({ model, messages, stream: true }))
    text += part.choices[0]?.delta?.content ?? "";
  return text;
});
await check("openai (npm): parse", async () =>
  (await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(order, "order") }))
    .choices[0].message.parsed);
await check("openai (npm): responses", async () =>
  (await client.responses.create({ model, input: question })).output_text);

const provider = createOpenAICompatible({ name: "local", baseURL: url, apiKey: key, supportsStructuredOutputs: true });
await check("AI SDK: chat", async () => (await generateText({ model: provider(model), prompt: question })).text);
await check("AI SDK: stream", async () => await streamText({ model: provider(model), prompt: question }).text);
await check("AI SDK: object", async () =>
  (await generateObject({ model: provider(model), schema: order, prompt: question })).object);

const promptfoo = await load("promptfoo").catch(() => null);
if (promptfoo) {
  const config = { apiBaseUrl: url, apiKey: key };
  const schema = { type: "object", properties: { intent: { type: "string" } }, required: ["intent"], additionalProperties: false };
  const form = { ...config, response_format: { type: "json_schema", json_schema: { name: "order", schema } } };
  const asked = { prompts: ["{{question}}"], tests: [{ vars: { question } }] };
  const write = process.stdout.write; // which it reports to
  process.stdout.write = () => true;
  for (const [name, one] of Object.entries({ chat: config, structured: form }))
    await check(`promptfoo: ${name}`, async () => {
      const made = await promptfoo.default.evaluate({ ...asked, providers: [{ id: `openai:chat:${model}`, config: one }] });
      const [{ success, response }] = (await made.toEvaluateSummary()).results;
      return success && (one === config ? response.output : response.output.intent);
    });
  process.stdout.write = write;
}
console.log(JSON.stringify(found, null, 1));
process.exit(0); // promptfoo leaves timers
