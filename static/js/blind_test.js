// The keyboard in a blind test: 1, 2 and 3 choose, U undoes, unless something is being typed.
const KEYS = {
  1: '[data-value$=" left"]', 2: '[data-value$=" right"]', 3: '[data-value$=" same"]', u: '[data-do=undo-vote]',
};
document.addEventListener('keydown', (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.('input, textarea, select, [contenteditable=true]')) return;
  const selector = KEYS[event.key.toLowerCase()];
  const button = selector && document.querySelector(`#blind-test button${selector}`);
  if (button?.offsetParent) button.click();
});
