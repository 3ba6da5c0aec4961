// @ts-check
/** Arrow keys go from one operation, channel or hop to the next, as reading goes; Enter opens it. */

const LISTS = ".strip, .tiles, .path, .pictures";

/** @param {KeyboardEvent} event */
function step(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  const list = link?.closest(LISTS);
  if (!by || !link || !list || event.metaKey || event.ctrlKey || event.altKey) return;
  const links = [...list.querySelectorAll("a")].filter((one) => one.getClientRects().length);
  const next = links[links.indexOf(link) + by];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

export function listenToArrows() {
  document.addEventListener("keydown", step);
}
