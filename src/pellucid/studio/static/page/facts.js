// @ts-check
/** What follows from the arguments: sizes with the numbers filled in, what no window reads, parameters. */
import { unread } from "../numerics/axis.js";
import { count } from "../numerics/plan.js";
import { counted, say } from "../show/words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("../numerics/axis.js").Axis} Axis
 */

/** @param {Axis} line */
function padText({ before, after }) {
  return before === after ? `2·${before}` : `${before} + ${after}`;
}

/** `out = ⌊(5 + 2·1 − 1·(3 − 1) − 1) / 1⌋ + 1 = 5`. @param {Axis} line */
export function sizeFormula(line) {
  const { size, kernel, stride, dilation, outputPadding, output } = line;
  if (line.operation === "relu") return `out = in = ${size}`;
  const span = `${dilation}·(${kernel} − 1)`;
  if (line.operation === "conv_transpose2d") {
    return `out = (${size} − 1)·${stride} − ${padText(line)} + ${span} + ${outputPadding} + 1 = ${output}`;
  }
  const [open, close] = line.ceilMode ? ["⌈", "⌉"] : ["⌊", "⌋"];
  const room = `${open}(${size} + ${padText(line)} − ${span} − 1) / ${stride}${close} + 1`;
  const full = Math.ceil((size + line.before + line.after - line.span - 1) / stride) + 1;
  return `out = ${room}${line.ceilMode && full > output ? " − 1" : ""} = ${output}`;
}

/** The same in torch's words. @param {Axis} line */
export function sizeSymbols(line) {
  if (line.operation === "relu") return "out = in";
  if (line.operation === "conv_transpose2d") {
    return "out = (in − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1";
  }
  const [open, close] = line.ceilMode ? ["⌈", "⌉"] : ["⌊", "⌋"];
  return `out = ${open}(in + 2·padding − dilation·(kernel_size − 1) − 1) / stride${close} + 1`;
}

/** @param {Store} store @returns {[string, string, string][]} name, formula, symbols */
export function sizeRows({ plan }) {
  const [height, width] = [sizeFormula(plan.rows), sizeFormula(plan.cols)];
  const symbols = sizeSymbols(plan.rows);
  if (height === width) return [[say("size.both"), height, symbols]];
  return [
    [say("size.height"), height, symbols],
    [say("size.width"), width, symbols],
  ];
}

/** "1 row and 1 column are never read." and whether that is padding alone. @param {Store} store */
export function unreadSentence({ plan }) {
  const [rows, columns] = [unread(plan.rows), unread(plan.cols)];
  if (!rows.length && !columns.length) return "";
  const parts = { rows: counted("rows", rows.length), columns: counted("columns", columns.length) };
  const lines = rows.length ? parts.rows : parts.columns;
  const both = rows.length > 0 && columns.length > 0;
  const single = rows.length + columns.length === 1;
  const sentence = both ? say("unread", parts) : say(single ? "unread.one" : "unread.some", { lines });
  const inside = (/** @type {Axis} */ line, /** @type {number} */ place) => place >= 0 && place < line.size;
  const real = rows.some((place) => inside(plan.rows, place)) || columns.some((place) => inside(plan.cols, place));
  return real ? sentence : `${sentence} ${say("unread.padding")}`;
}

/** Parameters beside those of a dense layer between the same shapes. @param {Store} store */
export function parameterSentence({ plan, state }) {
  if (!plan.weighted) return say("parameters.none");
  const bias = state.bias ? 1 : 0;
  const spaced = (/** @type {number} */ value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const own = count(plan.weight) + bias * plan.output[0];
  const dense = count(plan.input) * count(plan.output) + bias * count(plan.output);
  return say("parameters.count", { count: spaced(own), dense: spaced(dense) });
}

/** @param {Store} store */
export function drawFacts(store) {
  const box = /** @type {HTMLElement} */ (document.getElementById("facts"));
  const rows = sizeRows(store).map(([name, formula, symbols]) => fact(name, formula, symbols));
  const left = unreadSentence(store);
  box.replaceChildren(
    ...rows.flat(),
    ...fact(say("parameters"), parameterSentence(store), ""),
    ...(left ? fact("", left, "", "unread") : []),
  );
}

/** @param {string} name @param {string} text @param {string} title @param {string} [kind] */
function fact(name, text, title, kind = "") {
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  value.textContent = text;
  value.title = title;
  value.className = kind;
  return [term, value];
}
