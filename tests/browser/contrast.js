// All visible texts whose contrast with what lies behind them is under `least` (WCAG 2.2, 1.4.3).
(least) => {
  const parse = (text) => {
    const numbers = (text.match(/[\d.]+/g) || []).map(Number);
    const scale = text.startsWith('color(') ? 255 : 1;
    return { rgb: numbers.slice(0, 3).map((n) => n * scale), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const over = (top, under) => top.rgb.map((n, i) => n * top.alpha + under[i] * (1 - top.alpha));
  const behind = (element) => {
    if (!element) return [255, 255, 255];
    const layer = parse(getComputedStyle(element).backgroundColor);
    return layer.alpha === 1 ? layer.rgb : over(layer, behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const fields = 'textarea, select, input:not([type=radio], [type=checkbox], [type=range], [type=file])';
  const shows = NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT;
  const walker = document.createTreeWalker(document.querySelector('.gradio-container'), shows);
  while (walker.nextNode()) {
    const node = walker.currentNode, isText = node.nodeType === Node.TEXT_NODE;
    const words = (isText ? node.textContent : node.matches(fields) ? node.value : '').trim();
    const element = isText ? node.parentElement : node;
    if (!words || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    if (element.closest('.unseen, style, script')) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = over(parse(element.closest('svg') ? style.fill : style.color), ground);
    const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < least) found.push(`${ratio.toFixed(2)} ${words.slice(0, 40)}`);
  }
  return found;
}
