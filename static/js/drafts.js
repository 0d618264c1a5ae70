// What is typed into a field with data-draft stays until it is saved: also when its form fails, is closed or drawn again,
// and when the page is loaded again. It belongs to the text that the field began with.
const KEY = 'apprentice-drafts';
let drafts = {};
try { drafts = JSON.parse(sessionStorage.getItem(KEY)) ?? {}; } catch { /* blocked */ }
// A way of asking, or an example, that is taken back is as it was typed.
const forget = (name, form) => { if (!form?.matches('.making')) delete drafts[name]; };
const save = () => {
  for (const old of Object.keys(drafts).slice(0, -200)) delete drafts[old];
  try { sessionStorage.setItem(KEY, JSON.stringify(drafts)); } catch { /* full or blocked */ }
};

document.addEventListener('input', (event) => {
  const field = event.target, name = field.dataset?.draft;
  if (!name) return;
  if (field.value === field.defaultValue) delete drafts[name];
  else drafts[name] = { from: field.defaultValue, typed: field.value };
  save();
});

// So does what is typed into a field of gradio's under the class "keeps", from one loading to the next.
const idOf = (field) => field.matches('.keeps textarea') && field.closest('[id]:not([id=""])').id;
document.addEventListener('input', ({ target }) => {
  if (!idOf(target)) return;
  drafts[idOf(target)] = target.value;
  save();
});
const before = { ...drafts };
apprentice.onRedraw(() => {
  for (const field of document.querySelectorAll('.keeps textarea')) {
    const words = before[idOf(field)];
    delete before[idOf(field)];
    if (words) requestAnimationFrame(() => requestAnimationFrame(() => { // gradio empties it in the next frame
      field.value ||= words;
      field.dispatchEvent(new Event('input', { bubbles: true }));
    }));
  }
});

// A form that was sent leaves the page once it is saved. Where that fails it stays, under an error.
let sent = null;
document.addEventListener('submit', (event) => { sent = event.target; }, true);
const forgetSaved = () => {
  if (document.querySelector('[data-testid=toast-close]')) sent = null;
  if (!sent || sent.isConnected) return;
  for (const field of sent.elements) forget(field.dataset.draft, sent);
  sent = null;
  save();
};

// gradio reuses a field for another text. It then begins anew, and if its form was saved, that has the keyboard.
const names = new WeakMap();
const isAnother = (field) => {
  const before = names.get(field), now = field.dataset.draft;
  names.set(field, now);
  if (!before || before === now) return false;
  field.value = field.defaultValue;
  if (field.form === sent) {
    forget(before, sent);
    field.form.elements[0].focus();
  }
  return true;
};

apprentice.onRedraw(() => {
  forgetSaved();
  const fields = [...document.querySelectorAll('[data-draft]')];
  if (fields.filter(isAnother).length) {
    sent = null;
    save();
  }
  for (const field of fields) {
    const draft = drafts[field.dataset.draft];
    if (draft?.from === field.defaultValue && field.value === field.defaultValue) field.value = draft.typed;
  }
});
