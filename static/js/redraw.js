// Calls everybody who has to do something whenever the page was drawn anew, or an element is not as it was.
const listeners = [];

apprentice.onRedraw = (listener) => listeners.push(listener);
apprentice.setAttribute = (element, name, value) => {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
};

new MutationObserver(() => listeners.forEach((listener) => listener())).observe(document.documentElement, {
  childList: true, subtree: true, attributeFilter: ['class', 'open', 'aria-selected', 'data-draft'],
});
