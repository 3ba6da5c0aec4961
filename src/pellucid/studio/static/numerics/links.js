// @ts-check
import { OUTSIDE, PAD, placeOf, readersOf, standingOn } from "./axis.js";
import { flat } from "./plan.js";

/**
 * A link joins a small number (one a window), a weight and a big number (on the ground; PAD or OUTSIDE where there is
 * none). `place` is [channel, row, column] of the tap on the padded ground.
 * @typedef {{small: number, weight: number, big: number, place: number[]}} Link
 * @typedef {import("./plan.js").Plan} Plan
 */

/** Weight position of a tap; a true convolution reads the filter turned by 180°.
 * @param {Plan} p @param {number} s @param {number} c @param {number} u @param {number} v */
export function weightAt(p, s, c, u, v) {
  if (!p.weighted) return -1;
  const [, fan, kh, kw] = p.weight;
  const [row, col] = p.flip ? [kh - 1 - u, kw - 1 - v] : [u, v];
  return ((s * fan + c) * kh + row) * kw + col;
}

/** First big channel that a small channel sees. @param {Plan} p @param {number} s */
export const firstChannel = (p, s) => Math.floor(s / (p.small[0] / p.groups)) * p.fan;

/** @param {Plan} p @param {number} s @param {number} c @param {[number, number]} row @param {[number, number]} col
 * @returns {Link} */
function link(p, s, c, [y, u], [x, v]) {
  const [r, q] = [p.rows.reads[y][u], p.cols.reads[x][v]];
  const channel = firstChannel(p, s) + c;
  const none = r === OUTSIDE || q === OUTSIDE ? OUTSIDE : PAD;
  return {
    small: flat(p.small, [s, y, x]),
    weight: weightAt(p, s, c, u, v),
    big: r < 0 || q < 0 ? none : flat(p.big, [channel, r, q]),
    place: [channel, placeOf(p.rows, y, u), placeOf(p.cols, x, v)],
  };
}

/** All links of one window, tap after tap. @param {Plan} p @param {number[]} index @returns {Link[]} */
export function linksOfSmall(p, [s, y, x]) {
  /** @type {Link[]} */
  const found = [];
  for (let c = 0; c < p.fan; c++) {
    for (let u = 0; u < p.rows.kernel; u++) {
      for (let v = 0; v < p.cols.kernel; v++) found.push(link(p, s, c, [y, u], [x, v]));
    }
  }
  return found;
}

/** All links to one number on the ground; with `padded` the index is a padded coordinate instead.
 * @param {Plan} p @param {number[]} index @param {boolean} [padded] @returns {Link[]} */
export function linksOfBig(p, [channel, r, q], padded = false) {
  const readers = padded ? standingOn : readersOf;
  const [rows, cols] = [readers(p.rows, r), readers(p.cols, q)];
  const members = p.small[0] / p.groups;
  const group = Math.floor(channel / p.fan);
  /** @type {Link[]} */
  const found = [];
  for (let s = group * members; s < (group + 1) * members; s++) {
    for (const row of rows) for (const col of cols) found.push(link(p, s, channel - group * p.fan, row, col));
  }
  return found;
}

/** All links over one weight. @param {Plan} p @param {number[]} index @returns {Link[]} */
export function linksOfWeight(p, [s, c, row, col]) {
  const [u, v] = p.flip ? [p.rows.kernel - 1 - row, p.cols.kernel - 1 - col] : [row, col];
  /** @type {Link[]} */
  const found = [];
  for (let y = 0; y < p.rows.windows; y++) {
    for (let x = 0; x < p.cols.windows; x++) found.push(link(p, s, c, [y, u], [x, v]));
  }
  return found;
}

/** @param {Plan} p @param {number[]} index */
export const linksOfOutput = (p, index) => (p.transposed ? linksOfBig(p, index) : linksOfSmall(p, index));
/** @param {Plan} p @param {number[]} index @param {boolean} [padded] */
export const linksOfInput = (p, index, padded = false) =>
  p.transposed ? linksOfSmall(p, index) : linksOfBig(p, index, padded);

/** @param {Plan} p @param {Link} link */
export const inputOf = (p, link) => (p.transposed ? link.small : link.big);
/** @param {Plan} p @param {Link} link */
export const outputOf = (p, link) => (p.transposed ? link.big : link.small);
