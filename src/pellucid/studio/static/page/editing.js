// @ts-check
/** A number edited in its own cell: Enter or leaving keeps it, Escape does not. */
import { exact, typed } from "../show/numerals.js";
import { say } from "../show/words.js";
import { EDITABLE, tensorNamed } from "./planes.js";
import { flat } from "../numerics/plan.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./number-grid.js").NumberGrid} NumberGrid
 */

/** Whether the cell could be opened. @param {Store} store @param {NumberGrid} grid @param {HTMLTableCellElement} td
 * @param {string} [start] the text to begin with */
export function editCell(store, grid, td, start) {
  const plane = grid.plane;
  if (!plane?.editable || td.classList.contains("pad") || td.querySelector("input")) return false;
  const name = EDITABLE[plane.tensor];
  const index = plane.space === "bias" ? grid.indexOf(td).slice(-1) : grid.indexOf(td);
  const tensor = tensorNamed(store, plane.tensor);
  const input = openInput(td, start ?? exact(tensor.values[flat(tensor.shape, index)]), start === undefined);
  listen(input, (text) => {
    const value = text === null ? null : typed(text);
    restore(grid, td);
    if (text !== null && value === null && text.trim() !== "") refuse(text);
    if (value !== null) store.edit(name, index, value);
  });
  return true;
}

/** @param {HTMLTableCellElement} td @param {string} text @param {boolean} selected */
function openInput(td, text, selected) {
  const input = document.createElement("input");
  input.value = text;
  input.inputMode = "decimal";
  input.autocomplete = "off";
  input.setAttribute("aria-label", td.ariaLabel ?? "");
  td.replaceChildren(input);
  td.dataset.editing = "true";
  input.focus({ preventScroll: true });
  if (selected) input.select();
  return input;
}

/** @param {HTMLInputElement} input
 * @param {(text: string | null) => void} done  called once; null where nothing is kept */
function listen(input, done) {
  let open = true;
  const close = (/** @type {string | null} */ text, /** @type {boolean} */ refocus) => {
    if (!open) return;
    open = false;
    const td = input.closest("td");
    done(text);
    if (refocus) td?.focus({ preventScroll: true });
    delete td?.dataset.editing;
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") event.preventDefault();
    if (event.key === "Enter") close(input.value, true);
    if (event.key === "Escape") close(null, true);
  });
  input.addEventListener("blur", () => close(input.value, false));
}

/** @param {NumberGrid} grid @param {HTMLTableCellElement} td */
function restore(grid, td) {
  const cell = grid.cells.indexOf(td);
  td.textContent = grid.plane?.texts[cell] ?? "";
  delete td.dataset.touched;
}

/** @param {string} text */
function refuse(text) {
  const verdict = /** @type {HTMLElement} */ (document.getElementById("verdict"));
  verdict.textContent = say("error.number", { value: text });
}
