// The address names the open tab: a reload opens it again, and the browser's Back goes to the one before.
const buttonOf = (tab) => document.getElementById(`tab-${tab}-button`);
const named = () => (buttonOf(location.hash.slice(1)) ? location.hash.slice(1) : 'start');
const openTab = () => document.querySelector('#rail [role=tab][aria-selected=true]')?.dataset.tabId ?? '';
const at = (tab) => `${location.pathname}${location.search}#${tab}`;

let wanted = null; // the tab that the address asks for, until it is open
const follow = () => {
  const open = openTab();
  if (!open) return;
  wanted ??= named();
  if (wanted && open !== wanted) { buttonOf(wanted).click(); return; }
  wanted = '';
  if (open !== named()) history.pushState(null, '', at(open));
};

apprentice.onRedraw(follow);

// A page that comes back begins as the server drew it for everybody: where that is a first visit, or no examples while
// there are some, a quiet line stands there until the tab is given.
const page = document.documentElement, { data_id, import_id, ...others } = apprentice.store.choice();
const given = () => page.removeAttribute('data-coming');
if (data_id || import_id) page.setAttribute('data-coming', 'data');
else if (Object.keys(others).length) page.setAttribute('data-coming', '');
setTimeout(given, 10_000);
window.addEventListener('popstate', () => {
  if (location.hash && !buttonOf(location.hash.slice(1))) { history.replaceState(null, '', at(openTab())); return; }
  wanted = null;
  follow();
});

// A button leads to the beginning of another tab, unless a quick person has left its own by then.
const lead = (from, to) => {
  if (openTab() !== from) return;
  buttonOf(to).click();
  window.scrollTo({ top: 0 });
};
// The top of a tab, and the keyboard at the element that `first` names, if any, once it is there. Gradio may draw it anew
// and lose the keyboard, so it is held there until the person does something.
let first = '';
const focusFirst = () => {
  const element = first && document.activeElement === document.body ? document.querySelector(first) : null;
  if (element?.checkVisibility()) element.focus({ preventScroll: true });
};
apprentice.onRedraw(focusFirst);
for (const action of ['keydown', 'pointerdown']) document.addEventListener(action, () => { first = ''; }, true);
const toTop = (tab, element = '') => {
  if (openTab() !== tab) return;
  window.scrollTo({ top: 0 });
  first = element;
  if (first) document.activeElement.blur();
  focusFirst();
};

// A new signature of the open tab, for the one component that fetches that tab; the time, so that it differs from the
// last. After "shown:" it stands for what the page has just been given. What follows its second word is about runs
// (run_end.js).
let fetched = '';
const toItsTab = (tabs, answer) => {
  const isGiven = answer.startsWith('shown:');
  const [name, shown] = answer.slice(isGiven ? 6 : 0).split(' ');
  const before = fetched;
  fetched = `${name} ${shown}`;
  if (name === openTab()) given();
  if (isGiven || fetched === before) return tabs.map(() => undefined);
  return tabs.map((tab) => (tab === name ? `${fetched} ${performance.now()}` : undefined));
};

apprentice.address = { openTab, lead, toTop, toItsTab };

// Arrow keys move along the rail, as a tab list should.
apprentice.onRedraw(() => {
  apprentice.setAttribute(document.querySelector('#rail [role=tablist]'), 'aria-label', 'Steps and your models');
  for (const panel of document.querySelectorAll('#rail > [role=tabpanel]')) {
    apprentice.setAttribute(panel, 'aria-labelledby', `${panel.id}-button`);
  }
});
document.addEventListener('keydown', (event) => {
  const tab = event.target.closest('#rail [role=tab]');
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!tab || !step) return;
  const tabs = [...tab.closest('[role=tablist]').querySelectorAll('[role=tab]')];
  const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
  event.preventDefault();
});
