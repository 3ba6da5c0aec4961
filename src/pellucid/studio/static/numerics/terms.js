// @ts-check
/** The terms of one number: what it is the sum of (or, for a maximum, chosen from). */
import { PAD } from "./axis.js";
import { inputOf, linksOfInput, linksOfOutput, linksOfWeight, outputOf } from "./links.js";
import { arriving, flat } from "./plan.js";
import { coefficient } from "./windows.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").State} State
 * @typedef {import("./links.js").Link} Link
 * @typedef {{factors: number[], product: number, link: Link | null, output: number}} Term
 * @typedef {{terms: Term[], bias: number | null, total: number, bound: number}} Sum
 */

const UNIT = 2 ** -53;

/** Value of the input at a link; a pad counts 0. @param {Plan} p @param {State} state @param {Link} link */
const inputValue = (p, state, link) => (inputOf(p, link) < 0 ? 0 : state.x.values[inputOf(p, link)]);

/** @param {number[]} factors @param {Link | null} link @param {number} output @returns {Term} */
const term = (factors, link, output) => ({ factors, product: factors.reduce((a, b) => a * b, 1), link, output });

/** @param {Plan} p @param {State} state @param {Link} link */
const factorOf = (p, state, link) =>
  p.weighted ? state.weight.values[link.weight] : coefficient(p, state.x.values, link);

/** @type {Record<string, (p: Plan, state: State, index: number[]) => Term[]>} */
const LISTS = {
  forward: (p, state, index) =>
    linksOfOutput(p, index)
      .filter((link) => p.operation !== "avg_pool2d" || link.big >= PAD)
      .map((link) => term([factorOf(p, state, link), inputValue(p, state, link)], link, outputOf(p, link))),
  x: (p, state, index) => {
    const dy = arriving(state, p).values;
    return linksOfInput(p, index)
      .filter((link) => outputOf(p, link) >= 0)
      .map((link) => term([factorOf(p, state, link), dy[outputOf(p, link)]], link, outputOf(p, link)));
  },
  weight: (p, state, index) => {
    const dy = arriving(state, p).values;
    return linksOfWeight(p, index)
      .filter((link) => outputOf(p, link) >= 0)
      .map((link) => term([dy[outputOf(p, link)], inputValue(p, state, link)], link, outputOf(p, link)));
  },
  bias: (p, state, [channel]) => {
    const plane = p.output[1] * p.output[2];
    const values = arriving(state, p).values.slice(channel * plane, (channel + 1) * plane);
    return values.map((value, place) => term([value], null, channel * plane + place));
  },
};

/** The sum behind the number at `index` of the tensor that this pass gives, and the error rounding may leave.
 * @param {Plan} p @param {State} state @param {number[]} index @returns {Sum} */
export function sumAt(p, state, index, pass = state.pass) {
  const terms = LISTS[pass](p, state, index);
  const bias = pass === "forward" && p.weighted && state.bias ? state.bias.values[index[0]] : null;
  const parts = bias === null ? terms.map((one) => one.product) : [...terms.map((one) => one.product), bias];
  const total = parts.reduce((sum, part) => sum + part, 0);
  const size = parts.reduce((sum, part) => sum + Math.abs(part), 0);
  return { terms, bias, total, bound: 2 * (parts.length + 1) * UNIT * size };
}

/** Shape of the tensor that a pass gives. @param {Plan} p @param {string} pass @returns {number[]} */
export function resultShape(p, pass) {
  if (pass === "x") return p.input;
  if (pass === "weight") return p.weight;
  return pass === "bias" ? [p.output[0]] : p.output;
}

/** The tensor that a pass gives. @param {import("./whole.js").Result} result @param {string} pass
 * @returns {import("./plan.js").Tensor} */
export function resultTensor(result, pass) {
  const found = { forward: result.output, x: result.grad_x, weight: result.grad_weight, bias: result.grad_bias };
  return /** @type {any} */ (found)[pass];
}

/** @param {import("./plan.js").Tensor} tensor @param {number[]} index */
export const valueAt = (tensor, index) => tensor.values[flat(tensor.shape, index)];
