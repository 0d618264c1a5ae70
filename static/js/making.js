// Making examples. A press on a sentence adds it to the answer, or takes it out again. What is typed as a way of asking
// about a table shows at once what it makes of the first row. A key presses its button while
// the keyboard is on a button of the card, never while something is typed; Escape leaves a field for the card's first
// button.
const card = () => document.querySelector('#making form.making');
const firstButton = () => card().querySelector('.acts button');
let adding = false; // another text, in the chooser below
document.addEventListener('click', (event) => {
  const sentence = event.target.closest('#making [data-sentence]');
  if (sentence) {
    const field = sentence.closest('form').elements.answer, text = sentence.textContent;
    const found = [` ${text}`, `${text} `, text].find((each) => field.value.includes(each));
    field.value = found ? field.value.replace(found, '') : [field.value.trimEnd(), text].filter(Boolean).join(' ');
    sentence.ariaPressed = String(!found);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }
  if (event.target.closest('#making [data-do=add-text]')) {
    document.querySelector('#chooser > button:not(.open)')?.click();
    adding = true;
  }
  if (event.target.closest('#making [data-do=""]')) card().elements.question.focus();
});
const fillIn = () => {
  const form = card(), shown = form?.querySelector('[data-filling]');
  if (!shown) return;
  const filling = JSON.parse(shown.dataset.filling);
  const filled = (text) => text.replace(/\{([^{}\n]*)\}/g, (whole, name) => filling[name] ?? whole).trim();
  const ways = [...form.querySelectorAll('[name^=way-]')].map((field) => filled(field.value)).filter(Boolean);
  const lines = ways.map((way) => {
    const line = document.createElement('li'), question = document.createElement('q');
    question.textContent = way[0].toUpperCase() + way.slice(1);
    line.append(question, ` ${filled(form.elements.answer.value)}`);
    return line;
  });
  const text = (nodes) => [...nodes].map((node) => node.textContent).join('\n');
  if (text(lines) !== text(shown.children)) shown.replaceChildren(...lines);
};
document.addEventListener('input', fillIn);
document.addEventListener('keydown', (event) => {
  const form = card();
  if (event.repeat || !form?.contains(event.target)) return;
  const typing = event.target.matches('textarea, input:not([type=checkbox]), select');
  if (typing && event.key === 'Escape') firstButton().focus();
  if (!typing && event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault(); // on a sentence, too, which Enter would press again
    firstButton().click();
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = [...document.querySelectorAll('#making kbd')].find((each) => each.textContent === event.key.toLowerCase());
  if (!key) return;
  event.preventDefault();
  key.closest('button').click();
});

// The next card has the keyboard: in the first empty field, or on its button.
let shown = '';
apprentice.onRedraw(() => {
  fillIn(); // also what was typed before the page was drawn again
  const form = card(), now = form?.offsetParent ? form.dataset.send : '';
  if (now === shown) return;
  const active = document.activeElement;
  shown = now;
  const busy = active.offsetParent && active.matches('textarea, input:not([type=file]), select, [role=tab]') && !active.closest('#making');
  if (!now || busy) return;
  const empty = [...form.querySelectorAll('textarea')].find((field) => !field.value);
  const top = form.closest('.card').getBoundingClientRect().top;
  if (top < 0 || top > window.innerHeight / 2) form.closest('.card').scrollIntoView({ block: 'start' });
  (empty ?? firstButton()).focus({ preventScroll: true });
});
apprentice.onRedraw(() => {
  const topic = adding && document.querySelector('#topic textarea');
  if (!topic?.offsetParent) return;
  adding = false;
  topic.scrollIntoView({ block: 'center' });
  topic.focus({ preventScroll: true });
});
