// Chooses a task on Start as soon as it is drawn.
new MutationObserver((_, observer) => {
  const radio = document.querySelector('#task input[value=extract]');
  if (!radio) return;
  observer.disconnect();
  setTimeout(() => radio.click());
}).observe(document, { childList: true, subtree: true });
