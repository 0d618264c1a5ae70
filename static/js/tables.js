// Tables that sort and filter. How a person left a table outlives its being drawn again.
const key = (row, column) => {
  const cell = row.cells[column];
  const number = cell.querySelector('data');
  return number ? Number(number.value) : cell.textContent.trim().toLowerCase();
};

const sorted = {}; // by the table's class: column and direction
const sort = (header, upward) => {
  const body = header.closest('table').tBodies[0];
  for (const other of header.parentElement.cells) other.removeAttribute('aria-sort');
  header.setAttribute('aria-sort', upward ? 'ascending' : 'descending');
  const rows = [...body.rows];
  rows.sort((a, b) => {
    const left = key(a, header.cellIndex), right = key(b, header.cellIndex);
    return (left < right ? -1 : left > right ? 1 : 0) * (upward ? 1 : -1);
  });
  body.append(...rows);
};

document.addEventListener('click', (event) => {
  const button = event.target.closest('button.sort');
  if (!button) return;
  const header = button.closest('th');
  const upward = header.getAttribute('aria-sort') !== 'ascending';
  sorted[button.closest('table').className] = [header.cellIndex, upward];
  sort(header, upward);
});
apprentice.onRedraw(() => {
  for (const [kind, [column, upward]] of Object.entries(sorted)) {
    const table = kind && document.querySelector(`table.${kind}`);
    if (table && !table.querySelector('th[aria-sort]')) sort(table.tHead.rows[0].cells[column], upward);
  }
});

// A row is shown if it carries every chosen value and every typed word.
const filtered = {}; // by the filter's name: what was chosen or typed
const matches = (row, field) => {
  const carried = row.dataset[field.dataset.filter];
  if (field.type !== 'search') return carried.split(' ').includes(field.value);
  return field.value.toLowerCase().split(/\s+/).every((word) => carried.toLowerCase().includes(word));
};
const filter = (filters) => {
  const set = [...filters.querySelectorAll('[data-filter]')].filter((field) => field.value.trim());
  const rows = [...filters.parentElement.querySelectorAll(`table.${filters.dataset.for} tbody tr`)];
  for (const row of rows) row.hidden = !set.every((field) => matches(row, field));
  const shown = rows.filter((row) => !row.hidden).length;
  const typed = set.some((field) => field.type === 'search');
  const counted = set.length ? `${shown} of ${rows.length} models are shown.` : '';
  const message = typed && !shown ? 'No model matches; clear the search.' : counted;
  const left = filters.querySelector('.left');
  if (left.textContent !== message) left.textContent = message;
  filters.querySelector('.clear').hidden = !typed;
};
const setFilter = (field, value) => {
  field.value = filtered[field.dataset.filter] = value;
  filter(field.closest('.filters'));
};

document.addEventListener('input', (event) => {
  const field = event.target.closest('[data-filter]');
  if (field) setFilter(field, field.value);
});
document.addEventListener('click', (event) => {
  const field = event.target.closest('.filters .clear')?.parentElement.querySelector('[data-filter]');
  if (!field) return;
  setFilter(field, '');
  field.focus();
});
apprentice.onRedraw(() => {
  for (const filters of document.querySelectorAll('.filters:not([data-kept])')) {
    filters.dataset.kept = '';
    for (const field of filters.querySelectorAll('[data-filter]')) field.value = filtered[field.dataset.filter] || '';
    filter(filters);
  }
});
