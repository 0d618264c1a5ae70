// The question box on Try. A question is cleared as it leaves, since what is written from then on is the next one; it
// comes back if its answer fails, or if the page is loaded again before the answer has come.
const KEY = 'apprentice-question';
const boxOf = () => document.querySelector('#question textarea');
const write = (words) => {
  const box = boxOf();
  box.value = words;
  box.dispatchEvent(new Event('input', { bubbles: true }));
};

let sent = '';
const remember = (words) => {
  sent = words;
  try { sessionStorage.setItem(KEY, words); } catch { /* full or blocked */ }
};

apprentice.question = {
  // longest: characters. What is too long, or can't be answered now, stays in the box.
  leave(longest) {
    const words = boxOf().value;
    if (words.length > longest || document.getElementById('ask').disabled) return;
    remember(words);
    write('');
  },
  answered() { remember(''); },
  failed(now) {
    const words = now || sent;
    remember('');
    return words;
  },
};

let unanswered = '';
try { unanswered = sessionStorage.getItem(KEY) || ''; } catch { /* blocked */ }
apprentice.onRedraw(() => {
  if (!unanswered || !boxOf()) return;
  const words = unanswered;
  unanswered = '';
  remember('');
  // gradio empties it in the next frame; what was typed after it comes first (drafts.js)
  requestAnimationFrame(() => requestAnimationFrame(() => write(boxOf().value || words)));
});
