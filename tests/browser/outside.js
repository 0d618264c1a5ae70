// What a person could not read or reach: texts and things to press that lie outside their card or the window.
() => {
  const found = new Set();
  for (const card of document.querySelectorAll('.card, .fold-block')) {
    const held = card.getBoundingClientRect();
    const [left, right] = [Math.max(0, held.left), Math.min(innerWidth, held.right)];
    const look = (boxes, said) => {
      for (const box of boxes) if (box.width && (box.left < left - 1 || box.right > right + 1)) found.add(said.trim());
    };
    for (const one of card.querySelectorAll('button, a, summary, select, input:not([type=radio]), textarea')) {
      look(one.getClientRects(), one.ariaLabel || one.name || one.textContent);
    }
    const texts = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      if (texts.currentNode.parentElement.closest('.unseen, select, svg, .table-container')) continue;
      const range = document.createRange();
      range.selectNode(texts.currentNode);
      look(range.getClientRects(), texts.currentNode.data);
    }
  }
  return [...found];
}
