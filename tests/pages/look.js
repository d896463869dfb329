// What a page looks like to who reads it: an object of lists, each of which must be empty.
(() => {
  const shown = (element) => element.checkVisibility({ contentVisibilityAuto: true, visibilityProperty: true });
  const colour = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
  };
  // The ground of a text: the band of a picture that it stands on, or the first of its ancestors that is painted.
  const ground = (element) => {
    const box = element.getBoundingClientRect();
    const bands = element.ownerSVGElement ? [...element.ownerSVGElement.querySelectorAll("rect")] : [];
    for (const band of bands) {
      const edges = band.getBoundingClientRect(), middle = (box.left + box.right) / 2;
      const beside = middle < edges.left || middle > edges.right;
      if (!beside && edges.width > box.width && edges.top <= box.top + 3 && edges.bottom >= box.bottom - 3)
        return colour(getComputedStyle(band).fill);
    }
    for (let one = element; one; one = one.parentElement) {
      const paint = colour(getComputedStyle(one).backgroundColor);
      if (paint.length === 3 || paint[3] === 1) return paint;
    }
    return [255, 255, 255];
  };

  const pale = new Set(), outside = new Set(), overlapping = new Set(), tiny = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !shown(element) || element.closest("script, title, desc, .hidden")) continue;
    texts += 1;
    const style = getComputedStyle(element);
    const ink = colour(element.closest("svg") ? style.fill : style.color);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const got = contrast(ink, ground(element));
    if (got < least) pale.add(`${got.toFixed(2)}: ${walker.currentNode.data.slice(0, 40)}`);
    if (size < 11) tiny.add(`${size}px: ${walker.currentNode.data.slice(0, 40)}`);
  }
  for (const picture of document.querySelectorAll("svg.exchange")) {
    if (!shown(picture)) continue;
    const frame = picture.getBoundingClientRect();
    const boxes = [...picture.querySelectorAll("text")].filter(shown)
      .map((text) => [text.textContent, text.getBoundingClientRect()]);
    boxes.forEach(([text, box], number) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1) outside.add(text);
      for (const [other, rival] of boxes.slice(number + 1))
        if (box.left < rival.right - 1 && rival.left < box.right - 1
          && box.top < rival.bottom - 4 && rival.top < box.bottom - 4) overlapping.add(`${text} / ${other}`);
    });
  }
  const wide = document.documentElement.scrollWidth > innerWidth ? [`${document.documentElement.scrollWidth} px`] : [];
  return { texts, problems: { pale: [...pale], tiny: [...tiny], outside: [...outside], overlapping: [...overlapping], wide } };
})()
