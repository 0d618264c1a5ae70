// What the page needs beside gradio: tables that sort, an address for each step, what each page keeps, and names and
// keys for those who can't use a mouse or see.
(() => {
  const key = (row, column) => {
    const cell = row.cells[column];
    const number = cell.querySelector('data');
    return number ? Number(number.value) : cell.textContent.trim().toLowerCase();
  };

  const sorted = {}; // how each kind of table was sorted: it outlives a table that is drawn anew
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

  const keepSorted = () => {
    for (const [kind, [column, upward]] of Object.entries(sorted)) {
      const table = kind && document.querySelector(`table.${kind}`);
      if (table && !table.querySelector('th[aria-sort]')) sort(table.tHead.rows[0].cells[column], upward);
    }
  };

  // A table shows the lines that carry every chosen value and every typed word. What was chosen and typed outlives a
  // table that is drawn anew.
  const chosen = {};
  const carries = (row, field) => {
    const carried = row.dataset[field.dataset.filter];
    if (field.type !== 'search') return carried.split(' ').includes(field.value);
    return field.value.toLowerCase().split(/\s+/).every((word) => carried.toLowerCase().includes(word));
  };
  const filter = (filters) => {
    const wanted = [...filters.querySelectorAll('[data-filter]')].filter((field) => field.value.trim());
    const rows = [...filters.parentElement.querySelectorAll(`table.${filters.dataset.for} tbody tr`)];
    for (const row of rows) row.hidden = !wanted.every((field) => carries(row, field));
    const shown = rows.filter((row) => !row.hidden).length;
    const typed = wanted.some((field) => field.type === 'search');
    const counted = wanted.length ? `${shown} of ${rows.length} models are shown.` : '';
    const said = typed && !shown ? 'No model matches; clear the search.' : counted;
    const left = filters.querySelector('.left');
    if (left.textContent !== said) left.textContent = said;
    filters.querySelector('.clear').hidden = !typed;
  };
  const choose = (field, value) => {
    field.value = chosen[field.dataset.filter] = value;
    filter(field.closest('.filters'));
  };

  document.addEventListener('input', (event) => {
    const field = event.target.closest('[data-filter]');
    if (field) choose(field, field.value);
  });
  document.addEventListener('click', (event) => {
    const field = event.target.closest('.filters .clear')?.parentElement.querySelector('[data-filter]');
    if (!field) return;
    choose(field, '');
    field.focus();
  });

  const keepFilters = () => {
    for (const filters of document.querySelectorAll('.filters:not([data-kept])')) {
      filters.dataset.kept = '';
      for (const field of filters.querySelectorAll('[data-filter]')) field.value = chosen[field.dataset.filter] || '';
      filter(filters);
    }
  };

  // A fold that is drawn anew stays as a person left it, where it has a key.
  const folds = {};
  document.addEventListener('click', (event) => {
    const fold = event.target.closest('details[data-key] > summary')?.parentElement;
    if (fold) folds[fold.dataset.key] = !fold.open;
  });
  const keepFolds = () => {
    for (const fold of document.querySelectorAll('details[data-key]')) {
      const wanted = folds[fold.dataset.key] ?? fold.open;
      if (fold.open !== wanted) fold.open = wanted;
    }
  };

  // The keyboard stays where it was pressed when its card is drawn again.
  let last = '';
  document.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-do]');
    if (!button) return;
    const item = button.closest('[data-kind]');
    last = item ? `[data-kind="${CSS.escape(item.dataset.kind)}"]` : '';
    if (button.dataset.do === 'look') {
      const preview = document.getElementById('preview');
      preview.scrollIntoView({ block: 'start', behavior: 'smooth' });
      preview.querySelector('#row-number input').focus({ preventScroll: true });
      last = '';
    }
  });
  const keepPlace = () => {
    if (!last || document.activeElement !== document.body) return;
    const button = document.querySelector(`${last} .problem-do button`);
    if (button) { button.focus({ preventScroll: true }); last = ''; }
  };

  // An error stands until the next thing is done.
  document.addEventListener('click', (event) => {
    const done = event.isTrusted && event.target.closest('button, [role=tab], summary, a');
    if (!done || event.target.closest('.toast-wrap')) return;
    for (const close of document.querySelectorAll('[data-testid=toast-close]')) close.click();
  }, true);

  // Escape closes an error, wherever the keyboard is.
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') document.querySelector('[data-testid=toast-close]')?.click();
  });

  // Gradio gives the keyboard to a cell of a typed table, or to the field that a letter opens in it, only in the next
  // frame: what is typed until then would be lost. A letter that opens a field takes the place of what stood there.
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

  // A finger or a pen has no keys to open a cell with: its first tap does.
  let finger = false;
  document.addEventListener('pointerdown', (event) => { finger = event.pointerType !== 'mouse'; }, true);
  window.addEventListener('click', (event) => {
    const cell = finger && event.target.closest('.body-cell:not(:has(textarea))');
    if (cell) cell.dispatchEvent(new MouseEvent('dblclick', { bubbles: true }));
  });

  // Radios of one question get one name before an arrow key is acted on, so that it moves among them.
  document.addEventListener('keydown', (event) => {
    if (!event.key.startsWith('Arrow') || !event.target.matches('.choices input[type=radio]')) return;
    const radios = event.target.closest('fieldset').querySelectorAll('input[type=radio]');
    for (const radio of radios) radio.name = radios[0].name;
  }, true);

  // The address names the open step: a reload opens it again, and the browser's Back goes to the one before.
  const tabOf = (step) => document.getElementById(`tab-${step}-button`);
  const named = () => (tabOf(location.hash.slice(1)) ? location.hash.slice(1) : 'start');
  const shown = () => document.querySelector('#rail [role=tab][aria-selected=true]')?.dataset.tabId;
  const at = (step) => `${location.pathname}${location.search}#${step}`;
  let wanted = null; // the step that the address asks for, until it is open
  const keepStep = () => {
    const open = shown();
    if (!open) return;
    wanted ??= named();
    if (wanted && open !== wanted) return tabOf(wanted).click();
    wanted = '';
    if (open !== named()) history.pushState(null, '', at(open));
  };
  window.addEventListener('popstate', () => {
    if (location.hash && !tabOf(location.hash.slice(1))) return history.replaceState(null, '', at(shown()));
    wanted = null;
    keepStep();
  });

  // What is chosen is kept for all pages, so that a new one begins with it; a page that is loaded again has its own.
  // What is typed and talked is the same for all.
  let mine = null; // where a browser keeps nothing for this page
  try {
    mine = sessionStorage;
    const ours = localStorage, { getItem: read, setItem: write } = Storage.prototype;
    const own = (storage, name) => storage === ours && /^apprentice-(?!table|talk)/.test(name);
    Storage.prototype.getItem = function (name) {
      return (own(this, name) ? read.call(mine, name) : null) ?? read.call(this, name);
    };
    Storage.prototype.setItem = function (name, value) {
      if (own(this, name)) {
        try { write.call(mine, name, value); } catch { mine.removeItem(name); }
      }
      write.call(this, name, value);
    };
  } catch { /* nothing is kept */ }

  // A question that was sent is there again when the page is loaded before its answer has come.
  let unanswered = mine?.getItem('sent');
  window.keepSent = (words) => {
    window.sent = words;
    try { mine?.setItem('sent', words); } catch { /* there is no room */ }
  };
  const giveBack = () => {
    const box = unanswered && document.querySelector('#question textarea');
    if (!box) return;
    const words = unanswered;
    unanswered = '';
    window.keepSent('');
    requestAnimationFrame(() => requestAnimationFrame(() => {
      box.value = words;
      box.dispatchEvent(new Event('input', { bubbles: true }));
    }));
  };

  // Folds say whether they are open, the rail says what it is.
  const say = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  new MutationObserver(() => {
    for (const fold of document.querySelectorAll('button.label-wrap')) {
      say(fold, 'aria-expanded', String(fold.classList.contains('open')));
    }
    say(document.querySelector('#rail [role=tablist]'), 'aria-label', 'Steps and your models');
    keepSorted();
    keepFilters();
    keepFolds();
    keepPlace();
    giveBack();
    keepStep();
  }).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ['class', 'open', 'aria-selected'] });

  // Arrow keys move along the rail of steps, as a tab list should.
  document.addEventListener('keydown', (event) => {
    const tab = event.target.closest('#rail [role=tab]');
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !way) return;
    const tabs = [...tab.closest('[role=tablist]').querySelectorAll('[role=tab]')];
    const next = tabs[(tabs.indexOf(tab) + way + tabs.length) % tabs.length];
    next.focus();
    next.click();
    event.preventDefault();
  });
})();
