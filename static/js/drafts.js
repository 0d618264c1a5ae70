// What is typed into a field with data-draft stays until it is saved: also when its form fails, is closed or drawn again,
// and when the page is loaded again. It belongs to the text that the field began with, so what was saved never returns.
const KEY = 'apprentice-drafts';
let drafts = {};
try { drafts = JSON.parse(sessionStorage.getItem(KEY)) ?? {}; } catch { /* blocked */ }

document.addEventListener('input', (event) => {
  const field = event.target, name = field.dataset?.draft;
  if (!name) return;
  if (field.value === field.defaultValue) delete drafts[name];
  else drafts[name] = { from: field.defaultValue, typed: field.value };
  try { sessionStorage.setItem(KEY, JSON.stringify(drafts)); } catch { /* full or blocked */ }
});

apprentice.onRedraw(() => {
  for (const field of document.querySelectorAll('[data-draft]')) {
    const draft = drafts[field.dataset.draft];
    if (draft?.from === field.defaultValue && field.value === field.defaultValue) field.value = draft.typed;
  }
});
