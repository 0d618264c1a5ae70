// The table that examples are typed into. Gradio gives the keyboard to a cell, or to the field that a letter opens in
// it, only in the next frame: what is typed until then would be lost. A letter that opens a field replaces its text.
let opened = null;
document.addEventListener('keydown', () => { opened = document.querySelector('.body-cell textarea'); }, true);
window.addEventListener('keydown', (event) => {
  const table = event.composedPath().find((part) => part.classList?.contains('table-container'));
  const field = table?.querySelector('.body-cell textarea');
  if (field) {
    field.focus();
    if (field !== opened && event.key.length === 1) field.select();
  } else if (document.activeElement === document.body) {
    table?.querySelector('.cell-selected')?.focus();
  }
});
document.addEventListener('click', (event) => {
  const cell = event.target.closest('.body-cell:not(:has(textarea))');
  if (!event.shiftKey && !event.ctrlKey && !event.metaKey) cell?.focus();
}, true);

// A cell that is still open is stored as the page is left, and the way in which examples were given last is opened again.
window.addEventListener('pagehide', () => {
  const field = document.querySelector('.body-cell textarea');
  const [, row, column] = field?.closest('[data-testid^=cell-]')?.dataset.testid.split('-') ?? [];
  if (!column) return;
  const table = apprentice.store.value('table') ?? [];
  while (table.length <= row) table.push(['', '']);
  table[row][column] = field.value;
  apprentice.store.saveTable({ data: table });
});
let way = apprentice.store.value('way');
document.addEventListener('click', (event) => {
  const chosen = event.target.closest('.ways [role=tab]');
  if (chosen) apprentice.store.setValue('way', chosen.textContent.trim());
});
apprentice.onRedraw(() => {
  const tabs = way && [...document.querySelectorAll('.ways [role=tab]')];
  if (!tabs?.length) return;
  tabs.find((tab) => tab.textContent.trim() === way)?.click();
  way = '';
});

// A finger or a pen has no keys to open a cell with: its first tap does.
let finger = false;
document.addEventListener('pointerdown', (event) => { finger = event.pointerType !== 'mouse'; }, true);
window.addEventListener('click', (event) => {
  const cell = finger && event.target.closest('.body-cell:not(:has(textarea))');
  if (cell) cell.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
});
