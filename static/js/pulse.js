// When the browser asks whether the open tab has changed: each second while something runs here or the person has just
// acted, else each five seconds, and never in a hidden tab, unless it will tell the end of a training. It asks by itself,
// since an event of gradio's costs the browser a hundred times as much; only an answer that differs becomes one.
const RECENT = 10_000, IDLE = 5000, LONGEST = 60_000; // milliseconds
let tell = null, before = null, acted = 0, asked = -Infinity, busy = true, waiting = false;

const act = () => { acted = performance.now(); };
for (const event of ['pointerdown', 'keydown', 'input', 'visibilitychange']) document.addEventListener(event, act, true);

const ask = async () => {
  const [choice, tab] = apprentice.send(['choice', 'tab'], []), body = JSON.stringify({ choice, tab });
  let answer = null; // of a server that can't be reached, which gradio then says
  waiting = true; // a server with much to do is not asked again meanwhile
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch('pulse', { method: 'POST', headers, body, signal: AbortSignal.timeout(LONGEST) });
    if (response.ok) answer = await response.json();
  } catch { /* see above */ }
  waiting = false;
  if (answer !== null && answer === before) return;
  tell('click');
};
const beat = (often) => {
  const now = performance.now(), hidden = document.hidden;
  if (hidden && !apprentice.runEnd.isWatching()) return;
  const pause = !hidden && (busy || now - acted < RECENT) ? often : Math.max(often, IDLE);
  if (waiting || now - asked < pause - 100) return; // timers are a little early or late
  asked = now;
  ask();
};

apprentice.pulse = {
  // trigger: of an event by which gradio asks the same. often: milliseconds.
  start(trigger, often) {
    act();
    tell = trigger;
    setInterval(beat, 1000, often);
  },
  // Gradio has the signature, too. After the tab's name, it says by a + whether something runs.
  follow(signature) {
    before = signature.replace('shown:', '');
    busy = signature.split(' ')[1]?.startsWith('+') ?? false;
  },
};
