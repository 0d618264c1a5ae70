// The card "Is this right?": every choice in its form reads the file again, as soon as an example has its parts. The
// keyboard then is at the field that was changed, which has been drawn anew.
const WHOLE = ['text', 'messages', 'chosen', 'label']; // roles that make an example by themselves
const lacks = (form) => {
  const roles = [...form.querySelectorAll('[name^="column:"]')].map((field) => field.value);
  const makes = roles.some((role) => WHOLE.includes(role)) || ['question', 'answer'].every((role) => roles.includes(role));
  return roles.length > 0 && !makes;
};
let changed = null; // the field, until the one in its place has the keyboard
document.addEventListener('change', (event) => {
  const form = event.target.closest('form.how');
  if (!form) return;
  const missing = form.querySelector('.missing');
  if (missing) missing.hidden = !lacks(form);
  const yes = form.closest('.confirming')?.querySelector('[data-do="confirm"]');
  if (yes) yes.disabled = lacks(form); // the examples beside it are not what the form says
  if (lacks(form)) return;
  changed = event.target;
  form.requestSubmit();
});
document.addEventListener('pointerdown', () => { changed = null; }, true);
apprentice.onRedraw(() => {
  if (changed?.isConnected && document.querySelector('#reading [data-asks]')) { // it can't be read so
    changed.form.reset();
    changed = null;
  }
  if (!changed || changed.isConnected || document.activeElement !== document.body) return;
  const field = [...document.querySelectorAll('form.how [name]')].find((each) => each.name === changed.name);
  if (!field?.checkVisibility()) return;
  field.focus({ preventScroll: true });
  changed = null;
});
