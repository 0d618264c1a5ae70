// Buttons and forms in HTML from the server. A click becomes the click event of the component that holds them, with the
// button's data; so does a form that is sent, with its visible fields as JSON.
apprentice.listenToButtons = (element, trigger) => {
  element.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-do]');
    if (button && !button.disabled) trigger('click', { do: button.dataset.do, value: button.dataset.value || '' });
  });
  element.addEventListener('submit', (event) => {
    event.preventDefault();
    const inReach = (field) => field.offsetParent || field.closest('form details');
    const shown = [...event.target.elements].filter((field) => field.name && inReach(field));
    const visible = shown.filter((field) => field.type !== 'checkbox' || field.checked);
    const fields = Object.fromEntries(visible.map((field) => [field.name, field.value]));
    trigger('click', { do: event.target.dataset.send, value: JSON.stringify(fields) });
  });
};

// The keyboard stays where it was when its card is drawn again: in the table of what was found, or at the next decision, and
// after the last one at the step's button. New examples have it, too. Looking at an example opens the preview and moves it there.
const NEXT = '#decision :is(button, textarea), #to-train:not(:disabled)';
let last = '', looking = false;
const askNext = () => apprentice.address.toTop('data', NEXT);
document.addEventListener('change', (event) => { if (event.target.matches('#upload input')) askNext(); });
document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (!button) return;
  const item = button.closest('tr[data-kind]'), decision = button.closest('#decision');
  last = item ? `[data-kind="${CSS.escape(item.dataset.kind)}"] td:last-child button` : '';
  if (decision) last = NEXT;
  if (['sample', 'open'].includes(button.dataset.do)) askNext();
  looking = button.dataset.do === 'look';
  if (looking) document.querySelector('#data-details > button:not(.open)')?.click();
});
apprentice.onRedraw(() => {
  const preview = looking && document.getElementById('preview');
  if (preview?.offsetParent) {
    preview.scrollIntoView({ block: 'start', behavior: 'smooth' });
    preview.querySelector('#row-number input').focus({ preventScroll: true });
    looking = false;
  } else if (last && document.activeElement === document.body) {
    const empty = [...document.querySelectorAll('#decision textarea')].find((field) => !field.value);
    const next = empty ?? document.querySelector(last);
    if (next) { next.focus({ preventScroll: next.id === 'to-train' }); last = ''; }
  }
});

// What a file that was added asks or why it can't be read gets the keyboard, once.
let asked = '';
apprentice.onRedraw(() => {
  const title = document.querySelector('#reading [data-asks] h2');
  const now = title?.offsetParent ? title.textContent : '';
  if (now === asked) return;
  asked = now;
  if (!now) return;
  title.tabIndex = -1;
  title.focus();
});

// The fields for the name of a model open above the list, which may be far up: they come into view, ready to type.
let naming = false;
document.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) naming = button.dataset.do === 'name';
});
apprentice.onRedraw(() => {
  const name = naming && document.querySelector('#run-names :is(input, textarea)');
  if (!name?.offsetParent) return;
  naming = false;
  document.getElementById('run-names').scrollIntoView({ block: 'center' });
  name.focus({ preventScroll: true });
});

// In a frame of another site, browsers leave the page's cookie out of what the attribute `download` asks for (seen in
// Chromium 156). The server sends every file as an attachment, so the link alone downloads it as well.
document.addEventListener('click', (event) => {
  if (window.parent !== window) event.target.closest('a[href^="/gradio_api/file="]')?.removeAttribute('download');
}, true);

// Ctrl and Enter send the form of a longer text.
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || !event.target.matches('form.write textarea')) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// A fold with a key stays as a person left it, also when it is drawn again; gradio's say whether they are open. One of
// the class "details" that was opened is open on the next visit, too.
const stored = apprentice.store.value('details') ?? {};
const folds = { ...stored };
const restored = new WeakSet();
document.addEventListener('click', (event) => {
  const title = event.target.closest('details[data-key] > summary, .details > button.label-wrap');
  if (!title) return;
  const fold = title.parentElement, key = fold.dataset.key ?? fold.id;
  folds[key] = !(fold.open ?? title.classList.contains('open'));
  if (!fold.classList.contains('details')) return;
  stored[key] = folds[key];
  apprentice.store.setValue('details', stored);
}, true);
apprentice.onRedraw(() => {
  for (const fold of document.querySelectorAll('.details > button.label-wrap')) {
    if (restored.has(fold)) continue;
    restored.add(fold);
    if (folds[fold.parentElement.id]) setTimeout(() => fold.classList.contains('open') || fold.click()); // once it listens
  }
  for (const fold of document.querySelectorAll('details[data-key]')) {
    const open = folds[fold.dataset.key] ?? fold.open;
    if (fold.open !== open) fold.open = open;
  }
  for (const fold of document.querySelectorAll('button.label-wrap')) {
    apprentice.setAttribute(fold, 'aria-expanded', String(fold.classList.contains('open')));
    apprentice.setAttribute(fold.querySelector('.icon'), 'aria-hidden', 'true'); // a triangle that is read aloud
  }
});

// Radios of one question get one name before an arrow key is acted on, so that it moves among them.
document.addEventListener('keydown', (event) => {
  if (!event.key.startsWith('Arrow') || !event.target.matches('.choices input[type=radio]')) return;
  const radios = event.target.closest('fieldset').querySelectorAll('input[type=radio]');
  for (const radio of radios) radio.name = radios[0].name;
}, true);

// An error stays until the next click, or until Escape is pressed, wherever the keyboard is.
document.addEventListener('click', (event) => {
  const acted = event.isTrusted && event.target.closest('button, [role=tab], summary, a');
  if (!acted || event.target.closest('.toast-wrap')) return;
  for (const close of document.querySelectorAll('[data-testid=toast-close]')) close.click();
}, true);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelector('[data-testid=toast-close]')?.click();
});
