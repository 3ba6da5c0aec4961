// @ts-check
/** The keyboard: stepping, passes, flip, predict, play, presenting; and moving inside a grid. */
import { count, flat, unflat } from "../numerics/plan.js";
import { resultShape } from "../numerics/terms.js";
import { editCell } from "./editing.js";
import { togglePlay } from "./play.js";
import { cellUnder, holdsResult } from "./pointer.js";
import { togglePredict } from "./predict.js";
import { togglePresent } from "./theme.js";

/** @typedef {import("./store.js").Store} Store */

/** The next number in row-major order, round the end. @param {Store} store @param {number} by */
export function step(store, by) {
  const shape = resultShape(store.plan, store.state.pass);
  const total = count(shape);
  store.select(unflat(shape, (flat(shape, store.state.at) + by + total) % total));
}

/** @param {Store} store @param {number} by */
export function stepRow(store, by) {
  const shape = resultShape(store.plan, store.state.pass);
  const width = shape.length > 1 ? shape[shape.length - 1] : 1;
  step(store, by * width);
}

/** @type {Record<string, (store: Store) => void>} */
const ACTIONS = {
  ArrowLeft: (store) => step(store, -1),
  ArrowRight: (store) => step(store, 1),
  ArrowUp: (store) => stepRow(store, -1),
  ArrowDown: (store) => stepRow(store, 1),
  b: (store) => store.nextPass(),
  f: (store) => store.plan.weighted && store.change({ flip: !store.state.flip }),
  p: togglePredict,
  " ": togglePlay,
  F: togglePresent,
  Escape: (store) => store.hold(null),
};

/** @param {Store} store */
export function listenToKeys(store) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const element = /** @type {HTMLElement} */ (event.target);
    if (element.matches("input:not([type=radio], [type=checkbox]), select, textarea")) return;
    if (element.matches("button, a, summary, input") && [" ", "Enter"].includes(event.key)) return;
    if (element.matches("input[type=radio]") && event.key.startsWith("Arrow")) return;
    if (inGrid(store, event)) return;
    const action = ACTIONS[event.key];
    if (!action) return;
    event.preventDefault();
    action(store);
    followFocus();
  });
}

/** A focused cell of the result follows the selected number. */
function followFocus() {
  const found = cellUnder(document.activeElement);
  if (!found || !holdsResult(found.grid)) return;
  const cell = document.querySelector('.result td[data-lit="now"], .result td[data-lit="at"]');
  if (cell instanceof HTMLElement) cell.focus();
}

/** @type {Record<string, [number, number]>} */
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Keys that a cell in focus takes for itself. @param {Store} store @param {KeyboardEvent} event */
function inGrid(store, event) {
  const found = cellUnder(event.target);
  if (!found || holdsResult(found.grid)) return false;
  const { grid, td } = found;
  const typing = /^[0-9.\-−]$/.test(event.key);
  const opened =
    (typing && editCell(store, grid, td, event.key)) ||
    (["Enter", "F2"].includes(event.key) && editCell(store, grid, td));
  if (opened) event.preventDefault();
  if (opened) return true;
  const move = MOVES[event.key];
  if (!move) return false;
  event.preventDefault();
  const { width, height } = /** @type {import("./number-grid.js").Plane} */ (grid.plane);
  const row = /** @type {HTMLTableRowElement} */ (td.parentElement).rowIndex + move[0];
  const col = td.cellIndex + move[1];
  if (row < 0 || col < 0 || row >= height || col >= width) return true;
  grid.cells[row * width + col].focus();
  return true;
}
