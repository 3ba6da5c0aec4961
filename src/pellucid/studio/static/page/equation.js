// @ts-check
/** The products of one number, written out, their sum, and the check against the number computed another way. */
import { fullAt, hasFull } from "../numerics/full.js";
import { arriving } from "../numerics/plan.js";
import { resultTensor, sumAt, valueAt } from "../numerics/terms.js";
import { exact, numeral, tiny } from "../show/numerals.js";
import { inWords, say } from "../show/words.js";
import { nameOf } from "./captions.js";
import { lookOf, RESULTS, SPACES } from "./planes.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("../numerics/terms.js").Sum} Sum
 * @typedef {import("../numerics/terms.js").Term} Term
 */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {Store} store */
export function drawEquation(store) {
  const { state, plan, result } = store;
  const index = store.index;
  const sum = sumAt(plan, state, index);
  const value = valueAt(resultTensor(result, state.pass), index);
  const asked = state.ask !== null && String(state.ask) === String(index);
  byId("name").textContent = nameOf(RESULTS[state.pass], index);
  fillRows(byId("terms"), rowsOf(store, sum, asked));
  byId("terms").classList.toggle("long", sum.terms.length > 16);
  byId("total").textContent = asked ? "?" : numeral(value);
  byId("total").title = asked ? "" : exact(value);
  byId("check").replaceChildren(...(asked ? [] : checkLine(store, sum, value, index)));
  byId("sum").classList.toggle("asking", asked);
}

/** @type {string[]} */
let shown = [];

/** Writes the rows that changed, where most did not; else all of them.
 * @param {HTMLElement} box @param {string[]} rows */
function fillRows(box, rows) {
  const changed = rows.flatMap((row, place) => (row === shown[place] ? [] : [place]));
  if (rows.length === shown.length && changed.length < rows.length / 2) {
    for (const place of changed) box.children[place].innerHTML = rows[place];
  } else {
    box.innerHTML = rows.map((row) => `<span class="row">${row}</span>`).join(" ");
  }
  shown = rows;
}

/** The terms row by row, as HTML that is made of numbers alone.
 * @param {Store} store @param {Sum} sum @param {boolean} asked */
function rowsOf({ state, plan }, { terms, bias }, asked) {
  if (!terms.length && bias === null) return [say("terms.none")];
  const forward = state.pass === "forward";
  if (forward && plan.operation === "relu") return whole(`max(0, ${leaf(terms[0].factors[1])})`);
  if (forward && plan.operation === "max_pool2d") return whole(`max(${values(terms).join(", ")})`);
  if (forward && plan.operation === "avg_pool2d") {
    return whole(`(${signed(terms)}) / ${terms.length ? Math.round(1 / terms[0].factors[0]) : 1}`);
  }
  const rows = byRows(terms, plan.weighted && forward && !plan.transposed ? plan.cols.kernel : terms.length);
  const markup = rows.map((row, place) => row.map((one, at) => termMarkup(one, place + at === 0, asked)).join(""));
  if (bias !== null && (bias !== 0 || !terms.length))
    markup.push(part(bias, [leaf(Math.abs(bias))], null, !terms.length));
  return markup;
}

/** @param {string} markup */
const whole = (markup) => [`<span>${markup}</span>`];
/** @param {Term[]} terms */
const values = (terms) => terms.map((one) => leaf(one.link && one.link.big < 0 ? -Infinity : one.factors[1]));
/** @param {Term[]} terms */
const signed = (terms) =>
  terms
    .map(({ factors: [, value] }, at) => (at ? `${value < 0 ? "−" : "+"} ${leaf(Math.abs(value))}` : leaf(value)))
    .join(" ");
/** @param {number} value */
const leaf = (value) => `<b title="${exact(value)}">${numeral(value)}</b>`;

/** @template T @param {T[]} list @param {number} length @returns {T[][]} */
function byRows(list, length) {
  const rows = [];
  for (let start = 0; start < list.length; start += length) rows.push(list.slice(start, start + length));
  return rows;
}

/** @param {Term} term @param {boolean} first @param {boolean} asked */
function termMarkup({ factors, product }, first, asked) {
  const [a, b] = factors;
  if (b === undefined) return part(a, [leaf(Math.abs(a))], null, first);
  const second = b < 0 ? `(${leaf(b)})` : leaf(b);
  return part(a, [leaf(Math.abs(a)), second], asked ? null : product, first);
}

/** @param {number} sign @param {string[]} factors @param {number | null} product @param {boolean} first */
function part(sign, factors, product, first) {
  const mark = sign < 0 ? "−" : first ? "" : "+";
  const under = product === null ? "" : `<small>${numeral(product)}</small>`;
  return `<span class="term"><i>${mark}</i><span><span>${factors.join("·")}</span>${under}</span></span>`;
}

/** @param {Store} store @param {Sum} sum @param {number} value @param {number[]} index */
function checkLine(store, sum, value, index) {
  const { plan, state } = store;
  const routed = state.pass === "forward" && plan.operation === "max_pool2d" && value === -Infinity;
  const delta = routed ? 0 : Math.abs(sum.total - value);
  const fine = delta <= sum.bound;
  const mark = document.createElement("b");
  mark.textContent = `Σ ${fine ? "✓" : "✗"}`;
  mark.className = fine ? "fine" : "wrong";
  const parts = [
    say(plan.operation === "max_pool2d" && state.pass === "forward" ? "check.largest" : "check.sum", {
      total: numeral(routed ? value : sum.total),
    }),
    say("check.whole", { value: numeral(value) }),
  ];
  const onBig = plan.transposed ? state.pass === "forward" : state.pass === "x";
  if (onBig && hasFull(plan)) parts.push(say("check.full", { value: numeral(fullValue(store, index)) }));
  if (state.network !== null && state.pass === "forward") {
    const off = tiny(Math.abs(sum.total - state.network));
    parts.push(say("check.network", { value: numeral(state.network), off }));
  }
  return [mark, ` ${[...parts, `Δ ${tiny(delta)}`].join(" · ")}`];
}

/** The number by the full convolution, bias added where a forward pass adds it. @param {Store} store
 * @param {number[]} index */
export function fullValue({ plan, state }, index) {
  const small = plan.transposed ? state.x.values : arriving(state, plan).values;
  const bias = plan.transposed && state.bias ? state.bias.values[index[0]] : 0;
  return fullAt(plan, state.weight.values, small, index) + bias;
}

/** The sentence that a screen reader hears after a step. @param {Store} store */
export function spokenSum(store) {
  const { state, plan, index } = store;
  const terms = sumAt(plan, state, index).terms.length;
  const look = lookOf(store, RESULTS[state.pass], SPACES[state.pass]);
  const hidden = state.ask !== null && String(state.ask) === String(index);
  const value = hidden ? say("say.hidden") : look.text(valueAt(look.tensor, index));
  const [row, column] = index.length > 1 ? index.slice(-2) : [0, index[0]];
  const cell = say("say.cell", { name: say(`say.${RESULTS[state.pass]}`), row: row + 1, column: column + 1, value });
  const input = terms ? numeral(sumAt(plan, state, index).terms[0].factors.at(-1) ?? 0) : "0";
  return say(keyOf(plan.operation, state.pass), { cell, count: inWords(terms), value: input });
}

/** @param {string} operation @param {string} pass */
function keyOf(operation, pass) {
  if (pass === "bias") return "say.numbers";
  if (pass !== "forward") return "say.sum";
  const keys = /** @type {Record<string, string>} */ ({
    max_pool2d: "say.largest",
    avg_pool2d: "say.mean",
    relu: "say.relu",
  });
  return keys[operation] ?? "say.sum";
}
