// @ts-check
/** A state as a figure for print: operands and result as grids of numbers, what made the selected number outlined. */
import { arriving, extent, flat, fold, plan, resultTensor, sumAt, unflat } from "../numerics.js";
import { limitOf, stepOf } from "../show/colour.js";
import { decimalsFor, numeral } from "../show/numerals.js";
import { sheet } from "./svg_sheet.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("../numerics/axis.js").Axis} Axis
 * @typedef {import("../numerics/whole.js").Result} Result
 * @typedef {import("./svg_sheet.js").Block} Block
 * @typedef {"x" | "weight" | "bias" | "output"} Space
 */

const LETTERS = { x: "X", weight: "W", bias: "b", output: "Y" };
const RESULT = /** @type {Record<string, Space>} */ ({ forward: "output", x: "x", weight: "weight", bias: "bias" });

/** @param {State} state @param {Result} result @returns {string} */
export function svg(state, result) {
  const p = plan(state);
  const lit = litPlaces(p, state);
  const { spaces, signs } = order(p, state);
  const blocks = spaces.map((space) => block(p, state, result, space, lit[space]));
  const about = `${state.operation.replace(/_/g, " ")}: ${blocks.map(({ name }) => name).join(", ")}`;
  return sheet(blocks, signs, about);
}

/** Operands from left to right, the result last, and the signs between them. @param {Plan} p @param {State} state
 * @returns {{spaces: Space[], signs: string[]}} */
function order(p, state) {
  const product = state.flip ? "∗" : "⊛";
  if (state.pass === "bias") return { spaces: ["output", "bias"], signs: ["Σ ="] };
  if (!p.weighted) return { spaces: state.pass === "forward" ? ["x", "output"] : ["output", "x"], signs: ["→"] };
  if (state.pass === "weight") return { spaces: ["x", "output", "weight"], signs: ["⊛", "="] };
  const across = (state.pass === "x") !== p.transposed ? `${product}ᵀ` : product;
  if (state.pass === "x") return { spaces: ["output", "weight", "x"], signs: [across, "="] };
  if (!state.bias?.values.some(Boolean)) return { spaces: ["x", "weight", "output"], signs: [across, "="] };
  return { spaces: ["x", "weight", "bias", "output"], signs: [across, "+", "="] };
}

/** In a backward pass everything at the output, and the result, is a gradient. @param {Space} space @param {string} pass */
function nameOf(space, pass) {
  const gradient = pass !== "forward" && (space === "output" || space === RESULT[pass]);
  return (gradient ? "∂L/∂" : "") + LETTERS[space];
}

/** What made the selected number, by space; a place is its index as text. @param {Plan} p @param {State} state */
function litPlaces(p, state) {
  /** @type {Record<Space, Set<string>>} */
  const lit = { x: new Set(), weight: new Set(), bias: new Set(), output: new Set() };
  const channel = state.pass === "bias" || state.pass === "forward" ? [[0, 0, state.at[0]]] : [];
  channel.forEach((place) => lit.bias.add(String(place)));
  if (state.pass !== "bias") lit[RESULT[state.pass]].add(String(state.at));
  for (const { link, output } of sumAt(p, state, state.at).terms) {
    if (state.pass !== "forward") lit.output.add(String(unflat(p.output, output)));
    if (!link) continue;
    if (state.pass !== "x") lit.x.add(String(p.transposed ? unflat(p.input, link.small) : link.place));
    if (p.weighted && state.pass !== "weight") lit.weight.add(String(unflat(p.weight, link.weight)));
  }
  return lit;
}

/** @param {Plan} p @param {State} state @param {Result} result @param {Space} space @param {Set<string>} lit
 * @returns {Block} */
function block(p, state, result, space, lit) {
  const operands = { x: state.x, weight: state.weight, bias: state.bias, output: arriving(state, p) };
  const shown = space === RESULT[state.pass] ? resultTensor(result, state.pass) : operands[space];
  const tensor = /** @type {Tensor} */ (shown);
  const decimals = decimalsFor(tensor.values);
  const limit = limitOf(tensor.values);
  const padded = space === "x" && state.pass !== "x" && !p.transposed;
  const [rows, cols] = padded ? [p.rows, p.cols].map(paddedSide) : plainSides(tensor.shape);
  const edge = p.operation === "max_pool2d" ? -Infinity : 0;
  /** @param {number[]} lead @param {number[]} row @param {number[]} col */
  const cell = (lead, [r, row], [q, col]) => {
    const index = tensor.shape.length > 1 ? [...lead, row, col] : [col];
    const value = row < 0 || col < 0 ? edge : tensor.values[flat(tensor.shape, index)];
    const pad = r !== row || q !== col || row < 0 || col < 0;
    const full = tensor.shape.length > 1 ? [...lead, r, q] : [0, 0, q];
    return { text: numeral(value, decimals), step: pad ? 0 : stepOf(value, limit), pad, lit: lit.has(String(full)) };
  };
  const planes = leads(p, state, space, tensor.shape).map((lead) =>
    rows.map((row) => cols.map((col) => cell(lead, row, col))),
  );
  return { name: nameOf(space, state.pass), planes };
}

/** [place, source] along a padded axis. @param {Axis} line @returns {number[][]} */
function paddedSide(line) {
  const [first, end] = extent(line);
  const source = (/** @type {number} */ place) =>
    place >= line.size + line.after ? -2 : fold(place, line.size, line.paddingMode);
  return Array.from({ length: end - first }, (_, at) => [first + at, source(first + at)]);
}

/** @param {number[]} shape @returns {number[][][]} */
function plainSides(shape) {
  const [rows, cols] = shape.length > 1 ? shape.slice(-2) : [1, shape[0]];
  return [rows, cols].map((size) => Array.from({ length: size }, (_, at) => [at, at]));
}

/** Leading indices of the planes to draw: of the weight, those that the selected number is made with.
 * @param {Plan} p @param {State} state @param {Space} space @param {number[]} shape @returns {number[][]} */
function leads(p, state, space, shape) {
  if (shape.length === 1) return [[0]];
  if (space !== "weight") return Array.from({ length: shape[0] }, (_, channel) => [channel]);
  const all = Array.from({ length: shape[0] * shape[1] }, (_, at) => [Math.floor(at / shape[1]), at % shape[1]]);
  if (state.pass === "weight") return all.filter(([own]) => own === state.at[0]);
  const terms = sumAt(p, state, state.at).terms;
  const used = new Set(terms.map(({ link }) => String(unflat(p.weight, link?.weight ?? 0).slice(0, 2))));
  return used.size ? all.filter((lead) => used.has(String(lead))) : all.slice(0, 1);
}
