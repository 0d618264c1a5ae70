// Added to a copy of the page for its check: asks it what `asked` says, and prints the answers to the browser's log.
(async () => {
  const say = (what) => console.log(`PAGE:${encodeURIComponent(JSON.stringify(what))}`);
  try {
    const started = await page.started;
    say({ ...started, problem: document.getElementById("state").textContent });
    for (const prompt of started.loaded ? asked.prompts : []) say(await page.answer(prompt, undefined, undefined, asked.most));
  } catch (error) {
    say({ problem: String(error) });
  } finally {
    say({ ended: true });
  }
})();
