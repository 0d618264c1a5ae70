// What this browser holds. Each page has its choice in one object in sessionStorage, which outlives a reload; a copy in
// localStorage is what a new page begins with. The conversation and the typed table are stored for all pages. Where the
// browser stores nothing, a page holds its choice until it is closed.
const KEY = 'apprentice';
const LONGEST_TABLE = 200_000; // characters

const load = (storage, key) => {
  try { return JSON.parse(window[storage].getItem(key)); } catch { return null; }
};
const save = (storage, key, value) => {
  try {
    window[storage].setItem(key, JSON.stringify(value));
  } catch {
    try { window[storage].removeItem(key); } catch { /* blocked */ } // rather nothing than an older value
  }
};
const fields = (value) => (value && typeof value === 'object' && !Array.isArray(value) ? value : null);

let choice = fields(load('sessionStorage', KEY)) ?? fields(load('localStorage', KEY)) ?? {};
save('sessionStorage', KEY, choice);

const values = {}; // what this page has read or written of the others

const store = {
  choice: () => choice,

  // Sets some fields and leaves the others, so that two answers that cross never undo each other.
  patch(changes) {
    choice = { ...choice, ...changes };
    save('sessionStorage', KEY, choice);
    save('localStorage', KEY, { ...fields(load('localStorage', KEY)), ...changes });
  },

  // As `patch`, unless one of the fields has another value by now than when the server read it.
  correct(before, changes) {
    const isNewer = (name) => name in choice && JSON.stringify(choice[name]) !== JSON.stringify(before[name]);
    if (!Object.keys(changes).some(isNewer)) store.patch(changes);
  },

  value(name) {
    values[name] ??= load('localStorage', `${KEY}-${name}`);
    return values[name];
  },
  setValue(name, value) {
    values[name] = value;
    save('localStorage', `${KEY}-${name}`, value);
  },
  saveTable(table) {
    const cells = table.data.map((row) => row.map((cell) => String(cell ?? '')));
    if (JSON.stringify(cells).length <= LONGEST_TABLE) store.setValue('table', cells);
  },
};

// What an event sends of it: the inputs of these names, which come first, are filled in the moment the event leaves.
const sources = {
  choice: store.choice,
  talk: (answered) => answered ?? store.value('talk'),
  table: () => store.value('table'),
  tab: () => apprentice.address.openTab(),
};
const send = (names, inputs) => [...names.map((name, at) => sources[name](inputs[at])), ...inputs.slice(names.length)];

// The answers on Start as they were given on an earlier visit, unless a quick person has given another one. The browser
// fills them in by itself: an answer of the server's would come even later.
const answers = (tasks, task, changes) => [
  task ? undefined : tasks.includes(choice.task) ? choice.task : null,
  changes ? undefined : choice.facts_change === true,
];

// The example that is shown goes into its field, unless another number is being typed there.
let shownRow = 1, shownData;
const followRow = (typed) => {
  const row = choice.row > 0 ? choice.row : 1, before = shownRow;
  const changed = row !== shownRow || choice.data_id !== shownData;
  shownRow = row;
  shownData = choice.data_id;
  return [typed === before ? row : undefined, changed ? '' : undefined];
};

window.apprentice = { store, send, answers, followRow };
