// @ts-check
/** Pointing at a picture fills the two fields of its form: the row and the column that were pointed at. */

/** @param {MouseEvent} event */
function point(event) {
  const box = event.target instanceof Element ? event.target.closest(".pick") : null;
  const picture = box?.querySelector("svg");
  const form = box?.closest("form");
  if (!box || !picture || !form) return;
  const [rows, columns] = (box.getAttribute("data-limits") ?? "").split(" ").map(Number);
  const edge = picture.getBoundingClientRect();
  const place = [
    placeOf(event.clientY - edge.top, edge.height, rows),
    placeOf(event.clientX - edge.left, edge.width, columns),
  ];
  const fields = /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('input[type="number"]'));
  place.forEach((value, at) => (fields[at].value = String(value)));
  form.requestSubmit();
}

/** @param {number} offset @param {number} length @param {number} count */
const placeOf = (offset, length, count) => Math.max(0, Math.min(count - 1, Math.floor((offset / length) * count)));

export function listenToPointing() {
  document.addEventListener("click", point);
}
