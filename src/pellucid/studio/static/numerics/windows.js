// @ts-check
/** What a pooling window or a ReLU does to its numbers: which one wins, or by how much they are divided. */
import { OUTSIDE } from "./axis.js";
import { linksOfSmall } from "./links.js";
import { count, unflat } from "./plan.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {{coefficients: Map<number, number>, output: number}} Window  big index -> coefficient
 */

/** The first maximum in row-major order wins; pads never do. @param {Plan} p @param {number[]} x
 * @param {number} small */
export function winner(p, x, small) {
  let best = -1;
  for (const { big } of linksOfSmall(p, unflat(p.small, small))) {
    if (big >= 0 && (best < 0 || x[big] > x[best])) best = big;
  }
  return best;
}

/** What an average is divided by: the cells inside input and padding, or the real ones alone.
 * @param {Plan} p @param {number} small */
export function divisor(p, small) {
  const links = linksOfSmall(p, unflat(p.small, small));
  return links.filter(({ big }) => (p.includePad ? big !== OUTSIDE : big >= 0)).length;
}

/** The factor between one number of the ground and one output. @param {Plan} p @param {number[]} x
 * @param {{small: number, big: number}} link */
export function coefficient(p, x, { small, big }) {
  if (p.operation === "relu") return x[big] > 0 ? 1 : 0;
  if (p.operation === "max_pool2d") return big >= 0 && winner(p, x, small) === big ? 1 : 0;
  return 1 / divisor(p, small);
}

/** Output and input gradient of pooling and ReLU. @param {Plan} p @param {number[]} x @param {number[]} dy */
export function pooled(p, x, dy) {
  const output = new Array(count(p.small)).fill(0);
  const grad = new Array(count(p.big)).fill(0);
  for (let small = 0; small < output.length; small++) {
    const reach = linksOfSmall(p, unflat(p.small, small));
    if (p.operation === "avg_pool2d") spread(reach, divisor(p, small), x, dy, output, grad);
    else take(p, winner(p, x, small), small, x, dy, output, grad);
  }
  return { output, grad };
}

/** @param {{small: number, big: number}[]} reach @param {number} parts @param {number[]} x @param {number[]} dy
 * @param {number[]} output @param {number[]} grad */
function spread(reach, parts, x, dy, output, grad) {
  for (const { small, big } of reach) {
    if (big < 0) continue;
    output[small] += x[big] / parts;
    grad[big] += dy[small] / parts;
  }
}

/** @param {Plan} p @param {number} big @param {number} small @param {number[]} x @param {number[]} dy
 * @param {number[]} output @param {number[]} grad */
function take(p, big, small, x, dy, output, grad) {
  if (big < 0) {
    output[small] = -Infinity;
    return;
  }
  const passes = p.operation === "max_pool2d" || x[big] > 0;
  output[small] = passes ? x[big] : 0;
  if (passes) grad[big] += dy[small];
}
