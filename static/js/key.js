// The page's key, which this browser stores for this address and port only: no page of another port can read it, while
// it receives our cookies. Every request of the page carries it (ui/web/key.py). A page without a key sends none.
const STORED = 'apprentice-key', CLOSED = 'Apprentice';
const read = () => { try { return JSON.parse(localStorage.getItem(STORED)); } catch { return null; } };
const key = read(), request = window.fetch;

const withKey = (asked, how) => {
  const sent = new Request(asked, how);
  if (key && new URL(sent.url).origin === location.origin) sent.headers.set('x-apprentice-key', key.page);
  return sent;
};

// The program was started anew, or the session was too old: the key opens another one.
window.fetch = async (asked, ...how) => {
  const response = await request(withKey(asked, ...how));
  if (response.status !== 401 || response.headers.get('www-authenticate') !== CLOSED) return response;
  if (key && (await request(withKey('/'))).ok) return request(withKey(asked, ...how));
  location.replace('/?key='); // which says how to open the page
  return response;
};

// A link to a file can have no header.
for (const action of ['pointerdown', 'click']) {
  document.addEventListener(action, (event) => {
    const link = key && event.target.closest?.('a[href*="/gradio_api/file="]');
    if (link?.origin === location.origin) link.search = new URLSearchParams({ key: key.files });
  }, true);
}

// See the page that says how to open this one.
if (location.search === '?open') history.replaceState(null, '', `/${location.hash}`);
