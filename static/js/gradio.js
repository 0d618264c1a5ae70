// Gradio writes in the browser's language and names that as the page's. Ours are English words, so its are too.
for (const [name, value] of [['language', 'en'], ['languages', ['en']]]) {
  Object.defineProperty(navigator, name, { get: () => value });
}

// Gradio's clock of a wait, which this page hides, goes on sixty times a second for ever if its part of the page is
// taken away meanwhile (seen in 6.31: a tenth of a core).
const draw = window.requestAnimationFrame;
window.requestAnimationFrame = (callback) => (/statustracker/.test(new Error().stack) ? 0 : draw(callback));
