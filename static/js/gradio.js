// Gradio writes in the browser's language and names that as the page's. Ours are English words, so its are too.
for (const [name, value] of [['language', 'en'], ['languages', ['en']]]) {
  Object.defineProperty(navigator, name, { get: () => value });
}

// Gradio's clock of a wait, which this page hides, goes on sixty times a second for ever if its part of the page is
// taken away meanwhile (seen in 6.31: a tenth of a core).
const draw = window.requestAnimationFrame;
window.requestAnimationFrame = (callback) => (/statustracker/.test(new Error().stack) ? 0 : draw(callback));

// Gradio's server ends the stream of answers when it has given all. Gradio takes the stream for open until it has read
// that, so nobody would read the answer to an event that was sent just then (seen in 6.31). The stream goes on for it.
const COMPLETED = /^data: \{"msg":"process_completed","event_id":"(\w+)"/, CLOSED = 'data: {"msg":"close_stream"';
const request = window.fetch, unanswered = new Set(), early = new Set(); // early: answered before it was known as sent

const read = (response) => {
  if (!response.ok) throw new Error(`The answers can't be read: ${response.status}`);
  return response.body.pipeThrough(new TextDecoderStream()).getReader();
};
const answers = (asked, response) => new ReadableStream({
  async start(stream) {
    let reader = read(response), rest = '', end = false;
    while (!end) {
      const { done, value = '' } = await reader.read();
      end = done;
      const messages = (rest + value).split('\n\n');
      rest = messages.pop();
      for (const message of messages) {
        const event = COMPLETED.exec(message)?.[1], closes = message.startsWith(CLOSED);
        if (event && !unanswered.delete(event)) early.add(event);
        if (closes && unanswered.size) { reader = read(await request(asked)); continue; }
        stream.enqueue(message + '\n\n');
        end ||= closes;
      }
    }
    stream.close();
  },
}).pipeThrough(new TextEncoderStream());

window.fetch = async (asked, ...how) => {
  const response = await request(asked, ...how), { pathname } = new URL(asked.url ?? asked, location.href);
  if (!response.ok) return response;
  if (pathname.endsWith('/queue/data')) return new Response(answers(asked, response), { headers: response.headers });
  if (pathname.endsWith('/queue/join')) {
    const event = (await response.clone().json()).event_id;
    if (!early.delete(event)) unanswered.add(event);
  }
  return response;
};
