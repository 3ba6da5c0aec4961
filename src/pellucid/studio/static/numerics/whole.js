// @ts-check
/** Whole tensors at once, plane by plane; independent of the list of terms, which is checked against it. */
import { firstChannel, weightAt } from "./links.js";
import { arriving, count, plan } from "./plan.js";
import { pooled } from "./windows.js";

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").State} State
 * @typedef {import("./plan.js").Tensor} Tensor
 * @typedef {{output: Tensor, grad_x: Tensor, grad_weight: Tensor | null, grad_bias: Tensor | null,
 *   sizes: {height: import("./axis.js").Axis, width: import("./axis.js").Axis}}} Result
 */

/**
 * One sweep over all links gives the three contractions of (small, weight, big). For a convolution `toSmall` is the
 * output, `toBig` the input's gradient; for a transposed one they change places; `toWeight` is the weight's gradient.
 * @param {Plan} p @param {number[]} weight @param {number[]} big @param {number[]} small
 */
export function contract(p, weight, big, small) {
  const sums = {
    toSmall: new Float64Array(count(p.small)),
    toBig: new Float64Array(count(p.big)),
    toWeight: new Float64Array(count(p.weight)),
  };
  const [kh, kw] = [p.rows.kernel, p.cols.kernel];
  for (let s = 0; s < p.small[0]; s++) {
    for (let c = 0; c < p.fan; c++) {
      for (let tap = 0; tap < kh * kw; tap++) {
        sweep(
          p,
          [s, firstChannel(p, s) + c],
          [Math.floor(tap / kw), tap % kw],
          weightAt(p, s, c, Math.floor(tap / kw), tap % kw),
          { weight, big, small },
          sums,
        );
      }
    }
  }
  return sums;
}

/** One tap over the whole plane. @param {Plan} p @param {[number, number]} channels @param {[number, number]} tap
 * @param {number} at @param {{weight: number[], big: number[], small: number[]}} given
 * @param {{toSmall: Float64Array, toBig: Float64Array, toWeight: Float64Array}} sums */
function sweep(p, [s, b], [u, v], at, given, sums) {
  const [, height, width] = p.small;
  const w = given.weight[at];
  let total = 0;
  for (let y = 0; y < height; y++) {
    const r = p.rows.reads[y][u];
    if (r < 0) continue;
    const [smallRow, bigRow] = [(s * height + y) * width, (b * p.big[1] + r) * p.big[2]];
    for (let x = 0; x < width; x++) {
      const q = p.cols.reads[x][v];
      if (q < 0) continue;
      const [i, j] = [smallRow + x, bigRow + q];
      sums.toSmall[i] += w * given.big[j];
      sums.toBig[j] += w * given.small[i];
      total += given.big[j] * given.small[i];
    }
  }
  sums.toWeight[at] += total;
}

/** @param {State} state @returns {Result} */
export function evaluate(state) {
  const p = plan(state);
  const dy = arriving(state, p).values;
  const sizes = { height: p.rows, width: p.cols };
  const tensor = (/** @type {number[]} */ shape, /** @type {Iterable<number>} */ values) => ({
    shape,
    values: [...values],
  });
  if (!p.weighted) {
    const { output, grad } = pooled(p, state.x.values, dy);
    return {
      output: tensor(p.output, output),
      grad_x: tensor(p.input, grad),
      grad_weight: null,
      grad_bias: null,
      sizes,
    };
  }
  const [big, small] = p.transposed ? [dy, state.x.values] : [state.x.values, dy];
  const { toSmall, toBig, toWeight } = contract(p, state.weight.values, big, small);
  const [output, grad] = p.transposed ? [toBig, toSmall] : [toSmall, toBig];
  return {
    output: tensor(p.output, withBias(p, output, state.bias)),
    grad_x: tensor(p.input, grad),
    grad_weight: tensor(p.weight, toWeight),
    grad_bias: state.bias && tensor([p.output[0]], channelSums(p, dy)),
    sizes,
  };
}

/** @param {Plan} p @param {Float64Array} values @param {Tensor | null} bias */
function withBias(p, values, bias) {
  const plane = p.output[1] * p.output[2];
  return bias ? values.map((value, place) => value + bias.values[Math.floor(place / plane)]) : values;
}

/** @param {Plan} p @param {number[]} dy */
function channelSums(p, dy) {
  const plane = p.output[1] * p.output[2];
  return Array.from({ length: p.output[0] }, (_, channel) =>
    dy.slice(channel * plane, (channel + 1) * plane).reduce((sum, value) => sum + value, 0),
  );
}
