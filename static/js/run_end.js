// The title of the browser's tab while a model trains and after it has ended, and a notification then, if the person
// has allowed those. Both follow the page's signature, whose last words say how runs stand (`news` in page.py).
const TITLE = 'Apprentice';
const ENDS = {
  completed: ['✓ Done', 'Your model is trained.'],
  stopped: ['Stopped', 'Training was stopped.'],
  failed: ['✗ Failed', 'Training failed. Apprentice says what happened.'],
  interrupted: ['Interrupted', 'Training was interrupted. You can continue it.'],
};
const UNKNOWN = ['Training ended', 'Training has ended.']; // of a run that is neither open nor training any more
const watched = new Set(); // the runs that this page has seen training

const setTitle = (words) => {
  const title = words ? `${words} - ${TITLE}` : TITLE;
  if (document.title !== title) document.title = title;
};
const notify = (words) => {
  if (window.Notification?.permission !== 'granted') return;
  try { new Notification(TITLE, { body: words, tag: TITLE }); } catch { /* some phones have none for a page */ }
};
const end = (run, [title, words]) => {
  watched.delete(run);
  setTitle(title);
  notify(words);
};

const follow = (signature) => {
  const [, , ...words] = signature.split(' ');
  if (!words.length) return; // the tab could not be shown
  for (const [, job, far] of words.map((word) => word.match(/(.+)[:=](\d+)$/)).filter(Boolean)) {
    const shown = document.querySelector(`#at-work [data-far="${job}"]`);
    if (shown) shown.textContent = `: ${far}%`;
  }
  const runs = new Map(words.filter((word) => word.includes(':')).map((word) => word.split(':')));
  for (const run of watched) {
    const ended = runs.has(run) ? ENDS[runs.get(run)] : UNKNOWN;
    if (ended) end(run, ended);
  }
  const [training] = [...runs].filter(([, how]) => !ENDS[how] && how !== 'queued');
  if (!training) return;
  const [run, how] = training;
  watched.add(run);
  setTitle(/^\d+$/.test(how) ? `${how}%` : 'Training');
};
// Who clicks on the page has seen how it ended.
document.addEventListener('click', () => { if (!watched.size) setTitle(''); });

// The button that allows notifications is there while the browser would ask: see the style sheet.
const offer = () => {
  apprentice.setAttribute(document.documentElement, 'data-notifications', window.Notification?.permission ?? 'none');
};
const allow = async () => {
  await window.Notification?.requestPermission();
  offer();
  if (window.Notification?.permission !== 'granted') {
    apprentice.setAttribute(document.documentElement, 'data-notifications', 'refused');
  }
  notify('You will be notified when training ends.');
};
offer();

apprentice.runEnd = { follow, allow, isWatching: () => watched.size > 0 };
