// @ts-check
/** The pointer on the grids: hovering lights, a click pins or selects, a second click edits, the window is dragged. */
import { editCell } from "./editing.js";
import { NumberGrid } from "./number-grid.js";
import { SPACES } from "./planes.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./lights.js").Target} Target
 */

const stage = () => /** @type {HTMLElement} */ (document.getElementById("stage"));

/** @param {EventTarget | null} element @returns {{grid: NumberGrid, td: HTMLTableCellElement} | null} */
export function cellUnder(element) {
  const td = element instanceof Element ? element.closest("td") : null;
  const grid = td?.closest("number-grid");
  return td && grid instanceof NumberGrid && grid.plane ? { grid, td } : null;
}

/** What a cell stands for. @param {NumberGrid} grid @param {HTMLTableCellElement} td @returns {Target} */
export function targetOf(grid, td) {
  const { space } = /** @type {import("./number-grid.js").Plane} */ (grid.plane);
  const index = grid.indexOf(td);
  return { space, index: space === "bias" ? index.slice(-1) : index, padded: td.classList.contains("pad") };
}

/** @param {Store} store @param {Target} target */
export const isResult = (store, target) => target.space === SPACES[store.state.pass] && !target.padded;

/** Whether a grid shows the tensor of the pass: of two grids in one space only that one. @param {NumberGrid} grid */
export const holdsResult = (grid) => grid.closest(".result") !== null;

/** @param {Store} store */
export function listenToPointer(store) {
  const box = stage();
  box.addEventListener("pointerover", (event) => hover(store, event));
  box.addEventListener("pointerleave", () => store.hover && store.point(null));
  box.addEventListener("pointerdown", (event) => startDrag(store, event));
  box.addEventListener("click", (event) => click(store, event));
  box.addEventListener("dblclick", (event) => edit(store, event));
  box.addEventListener("focusin", (event) => focus(store, event));
}

/** @param {Store} store @param {PointerEvent} event */
function hover(store, event) {
  if (box().dataset.dragging) return;
  const found = cellUnder(event.target);
  if (found) store.point(targetOf(found.grid, found.td));
  else if (store.hover) store.point(null);
}
const box = stage;

/** Pins what a cell stands for: a result becomes the selected number. @param {Store} store @param {Event} event */
function click(store, event) {
  const found = cellUnder(event.target);
  if (!found) return store.hold(null);
  const target = targetOf(found.grid, found.td);
  if (found.td.dataset.touched && editCell(store, found.grid, found.td)) return;
  for (const old of box().querySelectorAll("[data-touched]")) old.removeAttribute("data-touched");
  found.td.dataset.touched = "true";
  pin(store, found.grid, target);
}

/** @param {Store} store @param {NumberGrid} grid @param {Target} target */
export function pin(store, grid, target) {
  if (isResult(store, target) && holdsResult(grid)) store.select(target.index);
  else store.hold(target);
}

/** @param {Store} store @param {Event} event */
function edit(store, event) {
  const found = cellUnder(event.target);
  if (found) editCell(store, found.grid, found.td);
}

/** Focus by keyboard pins as a click does. @param {Store} store @param {FocusEvent} event */
function focus(store, event) {
  const found = cellUnder(event.target);
  if (!found || found.td.dataset.editing || !found.td.matches(":focus-visible")) return;
  pin(store, found.grid, targetOf(found.grid, found.td));
}

/** The window follows the pointer, from any cell that it lights. @param {Store} store @param {PointerEvent} event */
function startDrag(store, event) {
  const found = cellUnder(event.target);
  const { state, plan } = store;
  const draggable =
    found?.td.dataset.lit === "tap" &&
    found.grid.plane?.space === "input" &&
    state.pass === "forward" &&
    !plan.transposed;
  store.point(null);
  if (!found || !draggable || event.button !== 0 || event.pointerType === "touch") return;
  if (!found.td.dataset.lit) return;
  const from = found.grid.indexOf(found.td);
  const start = state.at;
  const controller = new AbortController();
  const move = (/** @type {PointerEvent} */ now) => drag(store, found.grid, from, start, now);
  document.addEventListener("pointermove", move, { signal: controller.signal });
  document.addEventListener("pointerup", () => endDrag(controller), { signal: controller.signal });
  document.addEventListener("pointercancel", () => endDrag(controller), { signal: controller.signal });
}

/** @param {Store} store @param {NumberGrid} grid @param {number[]} from @param {number[]} start
 * @param {PointerEvent} event */
function drag(store, grid, from, start, event) {
  const found = cellUnder(document.elementFromPoint(event.clientX, event.clientY));
  if (!found || found.grid !== grid) return;
  const here = grid.indexOf(found.td);
  if (!box().dataset.dragging && String(here) === String(from)) return;
  box().dataset.dragging = "true";
  event.preventDefault();
  getSelection()?.removeAllRanges();
  const { rows, cols, output } = store.plan;
  const moved = (/** @type {number} */ axis, /** @type {number} */ stride) =>
    Math.round((here[axis] - from[axis]) / stride);
  const row = Math.max(0, Math.min(output[1] - 1, start[1] + moved(1, rows.stride)));
  const col = Math.max(0, Math.min(output[2] - 1, start[2] + moved(2, cols.stride)));
  if (row !== store.state.at[1] || col !== store.state.at[2]) store.select([start[0], row, col]);
}

/** @param {AbortController} controller */
function endDrag(controller) {
  controller.abort();
  if (!box().dataset.dragging) return;
  document.addEventListener("click", (event) => event.stopPropagation(), { capture: true, once: true });
  setTimeout(() => delete box().dataset.dragging);
}
