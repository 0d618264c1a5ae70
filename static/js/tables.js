// Tables that sort and are searched. How a person left a table outlives its being drawn again.
const key = (row, column) => {
  const cell = row.cells[column];
  const number = cell.querySelector('data');
  return number ? Number(number.value) : cell.textContent.trim().toLowerCase();
};

const sorted = {}; // by the table's class: the column's name ('': the page's own order) and the direction
const header = (table, name) => [...table.tHead.rows[0].cells].find((cell) => name && cell.textContent === name);
const sort = (table) => {
  const [name, upward] = sorted[table.className];
  const column = header(table, name);
  const rows = [...table.tBodies[0].rows];
  rows.forEach((row, index) => { row.dataset.order ??= index; });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
  column?.setAttribute('aria-sort', upward ? 'ascending' : 'descending');
  const value = (row) => (column ? key(row, column.cellIndex) : Number(row.dataset.order));
  rows.sort((a, b) => {
    const left = value(a), right = value(b);
    return (left < right ? -1 : left > right ? 1 : 0) * (upward ? 1 : -1);
  });
  table.tBodies[0].append(...rows);
  const chooser = document.querySelector(`.filters[data-for="${table.className}"] .order`);
  if (chooser) chooser.value = column ? name : '';
};

document.addEventListener('click', (event) => {
  const column = event.target.closest('button.sort')?.closest('th');
  if (!column) return;
  const table = column.closest('table');
  sorted[table.className] = [column.textContent, column.getAttribute('aria-sort') !== 'ascending'];
  sort(table);
});
document.addEventListener('input', (event) => {
  const chooser = event.target.closest('.filters .order');
  if (!chooser) return;
  const filters = chooser.closest('.filters');
  sorted[filters.dataset.for] = [chooser.value, true];
  sort(filters.parentElement.querySelector(`table.${filters.dataset.for}`));
});
apprentice.onRedraw(() => {
  for (const [kind, [name]] of Object.entries(sorted)) {
    const table = kind && document.querySelector(`table.${kind}`);
    if (table && header(table, name) && !table.querySelector('th[aria-sort]')) sort(table);
  }
});

// A row is shown if it carries every typed word.
const typed = {}; // by the table's class
const find = (field) => {
  const finder = field.closest('.filters'), words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...finder.parentElement.querySelectorAll(`table.${finder.dataset.for} tbody tr`)];
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.words.toLowerCase().includes(word));
  const shown = rows.filter((row) => !row.hidden).length;
  const counted = words.length ? `${shown} of ${rows.length} models are shown.` : '';
  const message = words.length && !shown ? 'No model matches; clear the search.' : counted;
  const left = finder.querySelector('.left');
  if (left.textContent !== message) left.textContent = message;
  finder.querySelector('.clear').hidden = !words.length;
};
const setTyped = (field, value) => {
  field.value = typed[field.closest('.filters').dataset.for] = value;
  find(field);
};

document.addEventListener('input', (event) => {
  const field = event.target.closest('.filters [type=search]');
  if (field) setTyped(field, field.value);
});
document.addEventListener('click', (event) => {
  const field = event.target.closest('.filters .clear')?.parentElement.querySelector('[type=search]');
  if (!field) return;
  setTyped(field, '');
  field.focus();
});
apprentice.onRedraw(() => {
  for (const finder of document.querySelectorAll('.filters:not([data-kept])')) {
    finder.dataset.kept = '';
    setTyped(finder.querySelector('[type=search]'), typed[finder.dataset.for] || '');
  }
});
