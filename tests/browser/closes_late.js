// Of the first stream of answers the page reads only once `close_now` is called that the server has closed it.
const request = window.fetch;
window.fetch = async (...asked) => {
  const answer = await request(...asked);
  if (sessionStorage.held || !String(asked[0].url).includes('queue/data')) return answer;
  const late = new TransformStream({
    async transform(part, stream) {
      const closes = new TextDecoder().decode(part).includes('"close_stream"');
      if (closes) await new Promise((done) => { sessionStorage.held = 1; window.close_now = done; });
      stream.enqueue(part);
    },
  });
  return new Response(answer.body.pipeThrough(late));
};
