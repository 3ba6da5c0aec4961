// @ts-check
/**
 * The third way to the input's gradient (and a transposed convolution's output): stretch the small side with
 * stride - 1 zeros, pad it, and correlate it, stride 1, with the filter turned by 180°.
 */
import { firstChannel, weightAt } from "./links.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./axis.js").Axis} Axis
 * @typedef {{lead: number, length: number, source: (place: number) => number}} Stretch
 */

/** An axis of the stretched side: `lead` places before the first number (negative: it is cropped).
 * @param {Axis} line @returns {Stretch} */
function stretch(line) {
  const lead = line.span - line.before;
  const length = line.ground + line.span;
  const source = (/** @type {number} */ place) => {
    const step = place - lead;
    return step >= 0 && step % line.stride === 0 && step / line.stride < line.windows ? step / line.stride : -1;
  };
  return { lead, length, source };
}

/** Whether the picture holds: zeros around, and a filter. @param {Plan} p */
export const hasFull = (p) => p.weighted && p.rows.paddingMode === "zeros";

/** The stretched, padded small side of one channel: values, and which cells are inserted zeros.
 * @param {Plan} p @param {number[]} small @param {number} channel */
export function stretched(p, small, channel) {
  const [rows, cols] = [stretch(p.rows), stretch(p.cols)];
  const [, height, width] = p.small;
  const real = (/** @type {number} */ r, /** @type {number} */ q) => rows.source(r) >= 0 && cols.source(q) >= 0;
  const value = (/** @type {number} */ r, /** @type {number} */ q) =>
    real(r, q) ? small[(channel * height + rows.source(r)) * width + cols.source(q)] : 0;
  return { rows: rows.length, cols: cols.length, real, value };
}

/** The filter from small channel `s` to big channel `b`, turned by 180° (a true convolution turns it back).
 * @param {Plan} p @param {number[]} weight @param {number} s @param {number} b @returns {number[][]} */
export function turned(p, weight, s, b) {
  const [kh, kw] = [p.rows.kernel, p.cols.kernel];
  return Array.from({ length: kh }, (_, u) =>
    Array.from({ length: kw }, (_, v) => weight[weightAt(p, s, b - firstChannel(p, s), kh - 1 - u, kw - 1 - v)]),
  );
}

/** The number on the ground at `index`, by the full convolution. @param {Plan} p @param {number[]} weight
 * @param {number[]} small @param {number[]} index */
export function fullAt(p, weight, small, [b, r, q]) {
  const members = p.small[0] / p.groups;
  const first = Math.floor(b / p.fan) * members;
  let total = 0;
  for (let s = first; s < first + members; s++) {
    const side = stretched(p, small, s);
    turned(p, weight, s, b).forEach((row, u) =>
      row.forEach((w, v) => (total += w * side.value(r + u * p.rows.dilation, q + v * p.cols.dilation))),
    );
  }
  return total;
}
