"use strict";
// The page with a model in it: loads the model, asks it, shows its answers. Nothing leaves this device.
// settings.js comes first: the model's name, its instruction, examples, whether it learned to answer
// each question alone, the form of its answers (a JSON schema, if any), whether to hold them to it at first, whether its
// template can skip a thought before the answer, the empty thought that it writes there, the files with their sizes, and
// the tokens of its context.
{
  const { name, instruction, examples, alone, form, hold, skipsThought, opening = "", files, context } = settings;
  const at = (id) => document.getElementById(id);
  const AGAIN = "Copy or unpack the whole folder again, then reload this page. What you wrote is kept.";
  const NO_FORM = " Or the model can't keep to the form: untick it, and ask again.";
  const MIB = 1024 * 1024;

  class Problem extends Error {} // with a sentence for people

  // What was written here survives a reload of this tab, where the browser allows it.
  const kept = {
    key: `model: ${name}`,
    read() {
      try { return JSON.parse(sessionStorage.getItem(this.key)) || {}; } catch { return {}; }
    },
    write() {
      try { sessionStorage.setItem(this.key, JSON.stringify({ talk, draft: at("question").value })); } catch { /* as before */ }
    },
  };
  let talk = []; // the messages so far, without the instruction
  let model = null;
  let answering = null; // stops the answer that is being made

  // Files. From a disk a page may only load scripts, so there each file is a row of scripts that call piece().

  let pieces = [];
  globalThis.piece = (text) => pieces.push(fetch(`data:;base64,${text}`).then((answer) => answer.blob()));

  function script(address) {
    return new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.onload = () => { element.remove(); resolve(); };
      element.onerror = () => reject(new Problem(`The file ${address} is missing next to this page. ${AGAIN}`));
      element.src = `files/${address}`;
      document.head.append(element);
    });
  }

  async function file(address, loaded = () => {}) {
    const { bytes, scripts } = files[address];
    const blob = await (scripts ? fromScripts(address, scripts, loaded) : fetched(address, loaded));
    if (blob.size !== bytes) throw new Problem(`The file ${address} is damaged or not complete. ${AGAIN}`);
    return blob;
  }

  async function fromScripts(address, scripts, loaded) {
    pieces = [];
    for (let number = 1; number <= scripts; number++) {
      await script(`${address}.${number}.js`);
      await pieces.at(-1);
      loaded(number / scripts);
    }
    return new Blob(await Promise.all(pieces));
  }

  async function fetched(address, loaded) {
    const answer = await fetch(`files/${address}`).catch(() => ({ ok: false }));
    if (!answer.ok) throw new Problem(`The file ${address} is missing next to this page. ${AGAIN}`);
    let bytes = 0;
    const count = new TransformStream({
      transform(chunk, next) {
        loaded((bytes += chunk.byteLength) / files[address].bytes);
        next.enqueue(chunk);
      },
    });
    return new Response(answer.body.pipeThrough(count)).blob();
  }

  const unpacked = async (address) =>
    new Response((await file(address)).stream().pipeThrough(new DecompressionStream("gzip"))).blob();

  // A worker that was started from a disk can read a data address, and no other.
  function asAddress(blob) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(new Blob([blob], { type: "application/wasm" }));
    });
  }

  // The model

  const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

  function lacks() {
    if (!globalThis.WebAssembly || !WebAssembly.validate(new Uint8Array(SIMD))) return "WebAssembly SIMD";
    return globalThis.DecompressionStream ? "" : "DecompressionStream";
  }

  function isOlder() {
    try {
      new WebAssembly.Memory({ address: "i64", initial: 1n });
      return !WebAssembly.Suspending;
    } catch {
      return true;
    }
  }

  async function load() {
    const lack = lacks();
    if (lack) {
      throw new Problem(`This browser can't run the model: it lacks ${lack}. Open this page in a current Chrome, Edge, Firefox or Safari.`);
    }
    globalThis.module = { exports: {} }; // where wllama.js puts what it offers
    await script("wllama.js");
    const { Wllama, LoggerWithoutDebug } = globalThis.module.exports;
    // wllama asks for a module worker, which a page from a disk may not start; the worker needs nothing of modules.
    const Classic = globalThis.Worker;
    globalThis.Worker = class extends Classic { constructor(address) { super(address); } };
    let wllama;
    if (isOlder() && !navigator.userAgent.includes("Firefox/")) {
      const address = asAddress(await unpacked("compat.wasm.packed"));
      const code = await (await unpacked("compat.js.packed")).text();
      wllama = new Wllama({ default: await address }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
      wllama.setCompat({ worker: { code }, wasm: await address });
    } else {
      const address = await asAddress(await unpacked("wllama.wasm.packed"));
      wllama = new Wllama({ default: address }, { logger: LoggerWithoutDebug, suppressNativeLog: true });
      wllama.setCompat(null);
    }
    const gguf = await file("model.gguf", (share) => progress(share));
    progress(1, "Starting the model …");
    try {
      await wllama.loadModel([gguf], { n_ctx: context, n_parallel: 1, n_gpu_layers: 0, jinja: true, reasoning_format: "none" });
      if (!wllama.getLoadedContextInfo().success) throw new Error("llama.cpp did not open the file"); // wllama does not say so
    } catch (error) {
      console.error(error);
      const size = Math.round(500 + (4.5 * gguf.size) / MIB); // seen in Chromium 156
      throw new Problem(`The model could not be started. It needs about ${size} MB of free memory: close other pages and programs, then reload, or try another device.`);
    }
    model = wllama;
  }

  // An answer so far without the empty thought before it.
  const shown = (text) => (opening.startsWith(text) ? "" : text.startsWith(opening) ? text.slice(opening.length) : text);

  const held = () => at("hold").checked || undefined;

  // The answer to messages, the instruction included. each: called with all of its text so far.
  async function answer(messages, each = () => {}, signal = undefined, most = 512) {
    const told = instruction ? [{ role: "system", content: instruction }, ...messages] : messages;
    let text = "";
    let usage = null;
    let finish = null;
    const began = performance.now();
    await model.createChatCompletion({
      messages: told, max_tokens: most, temperature: 0, stream: true, stream_options: { include_usage: true },
      // A form follows the thought of a model that thinks first, which is turned off where its template can do so.
      reasoning_format: held() && "auto",
      chat_template_kwargs: held() && skipsThought ? { enable_thinking: false } : undefined,
      response_format: held() && { type: "json_schema", json_schema: { name: "answer", schema: form } },
      abortSignal: signal,
      onData(chunk) {
        usage = chunk.usage || usage;
        const choice = chunk.choices[0];
        finish = choice?.finish_reason || finish;
        text += choice?.delta?.content || "";
        each(shown(text));
      },
    });
    const seconds = (performance.now() - began) / 1000;
    return { text: shown(text), finish, read: usage?.prompt_tokens, tokens: usage?.completion_tokens, seconds };
  }

  // Whether a text ends in the same characters three times and more, 120 at least: more of it would say nothing new.
  function loops(text) {
    for (let size = 1; size <= 80; size++) {
      const length = Math.max(120, 3 * size);
      const end = text.slice(-length);
      if (end.length === length && end.slice(size) === end.slice(0, -size)) return true;
    }
    return false;
  }

  // The page

  function progress(share, text = `Loading the model: ${Math.floor(100 * share)} %`) {
    at("state").textContent = text;
    at("progress").value = share;
  }

  function bubble(who, text) {
    const item = document.createElement("li");
    item.className = who;
    item.textContent = text;
    at("talk").append(item);
    item.scrollIntoView({ block: "nearest" });
    return item;
  }

  function show() {
    at("ask").disabled = !model || Boolean(answering);
    at("stop").hidden = !answering;
    at("again").hidden = Boolean(answering) || !talk.length;
    at("examples").hidden = Boolean(talk.length) || !examples.length;
  }

  async function ask() {
    const question = at("question").value.trim();
    if (!question || !model || answering) return;
    const asked = [...talk, { role: "user", content: question }];
    const sent = alone ? asked.slice(-1) : asked;
    const mine = bubble("you", question);
    const theirs = bubble("model", "…");
    at("question").value = "";
    answering = new AbortController();
    at("state").textContent = "";
    at("examples").hidden = true;
    show();
    let text = "";
    try {
      const made = await answer(sent, (soFar) => {
        text = soFar;
        if (text) theirs.textContent = text;
        theirs.scrollIntoView({ block: "nearest" });
        if (!loops(text)) return;
        at("state").textContent = "The answer was stopped here: it repeats itself.";
        answering.abort();
      }, answering.signal);
      if (made.tokens) at("speed").textContent = `${(made.tokens / made.seconds).toFixed(0)} tokens a second.`;
      if (made.finish === "length") at("state").textContent = `The answer was cut off here: it is too long.${held() ? NO_FORM : ""}`;
    } catch (error) {
      if (!answering.signal.aborted) {
        console.error(error);
        at("state").textContent = `There is no answer: the conversation may be too long for this model, or this device is out of memory. Press Start over, or reload the page.${held() ? NO_FORM : ""}`;
      }
    }
    answering = null;
    if (text) {
      talk = [...asked, { role: "assistant", content: text }];
    } else { // nothing is lost: the question can be asked again
      mine.remove();
      theirs.remove();
      at("question").value ||= question;
    }
    kept.write();
    show();
    at("question").focus();
  }

  function startOver() {
    talk = [];
    at("talk").replaceChildren();
    at("state").textContent = "";
    kept.write();
    show();
  }

  function prepare() {
    document.title = at("name").textContent = name;
    at("state").textContent = "";
    at("instruction").textContent = instruction;
    at("about").hidden = !instruction;
    at("alone").hidden = !alone;
    at("in-form").hidden = !form;
    at("hold").checked = Boolean(form && hold);
    for (const example of examples) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = example;
      button.onclick = () => {
        at("question").value = example;
        ask();
      };
      at("examples").append(button);
    }
    const before = kept.read();
    talk = before.talk || [];
    for (const { role, content } of talk) bubble(role === "user" ? "you" : "model", content);
    at("question").value = before.draft || "";
    at("question").oninput = () => kept.write();
    at("question").onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        ask();
      }
    };
    at("form").onsubmit = (event) => {
      event.preventDefault();
      ask();
    };
    at("stop").onclick = () => answering?.abort();
    at("again").onclick = startOver;
    at("form").hidden = at("progress").hidden = false;
    show();
  }

  async function start() {
    prepare();
    const began = performance.now();
    try {
      progress(0);
      await load();
      at("state").textContent = "";
    } catch (error) {
      if (!(error instanceof Problem)) console.error(error);
      at("state").textContent = error instanceof Problem ? error.message : `The model could not be loaded (${error}). ${AGAIN}`;
      at("state").className = "problem";
    }
    at("progress").hidden = true;
    show();
    return { loaded: Boolean(model), seconds: (performance.now() - began) / 1000, threads: model?.getNumThreads() };
  }

  globalThis.page = { started: start(), answer, loops }; // for checks
}
