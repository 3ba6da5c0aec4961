// @ts-check
import { axis } from "./axis.js";

/**
 * @typedef {{shape: number[], values: number[]}} Tensor
 * @typedef {import("./axis.js").Axis} Axis
 * @typedef {{preset: string, operation: string, pass: "forward" | "x" | "weight" | "bias", x: Tensor, weight: Tensor,
 *   bias: Tensor | null, grad_output: Tensor | null, kernel_size: number[], stride: number[],
 *   padding: number[] | "same" | "valid", dilation: number[], groups: number, output_padding: number[],
 *   padding_mode: string, ceil_mode: boolean, count_include_pad: boolean, flip: boolean, at: number[],
 *   ask: number[] | null, from: string | null, channels: string | null, network: number | null,
 *   rest: number | null, more: number | null}} State
 * @typedef {{operation: string, transposed: boolean, weighted: boolean, rows: Axis, cols: Axis, small: number[],
 *   big: number[], groups: number, fan: number, flip: boolean, includePad: boolean, input: number[],
 *   output: number[], weight: number[]}} Plan
 */

export const WEIGHTED = new Set(["conv2d", "conv_transpose2d"]);

/** Both axes of a state. @param {State} state @returns {[Axis, Axis]} */
export function axes(state) {
  const line = (/** @type {0 | 1} */ side) =>
    axis({
      operation: state.operation,
      size: state.x.shape[side + 1],
      kernel: state.kernel_size[side],
      stride: state.stride[side],
      padding: typeof state.padding === "string" ? state.padding : state.padding[side],
      dilation: state.dilation[side],
      outputPadding: state.output_padding[side],
      paddingMode: state.padding_mode,
      ceilMode: state.ceil_mode,
    });
  return [line(0), line(1)];
}

/**
 * Who reads whom. `small` is the side with one number a window, `big` the ground the windows stand on, `fan` the
 * big channels that one small channel sees. Every link goes from a small number over a weight to a big number.
 * @param {State} state @returns {Plan}
 */
export function plan(state) {
  const [rows, cols] = axes(state);
  const weighted = WEIGHTED.has(state.operation);
  const transposed = state.operation === "conv_transpose2d";
  const inputs = state.x.shape[0];
  const outputs = !weighted ? inputs : transposed ? state.weight.shape[1] * state.groups : state.weight.shape[0];
  const groups = weighted ? state.groups : inputs;
  const input = [...state.x.shape];
  const output = [outputs, rows.output, cols.output];
  const [small, big] = transposed ? [input, output] : [output, input];
  return {
    operation: state.operation,
    transposed,
    weighted,
    rows,
    cols,
    small,
    big,
    groups,
    fan: big[0] / groups,
    flip: state.flip && weighted,
    includePad: state.count_include_pad,
    input,
    output,
    weight: weighted ? [small[0], big[0] / groups, rows.kernel, cols.kernel] : [],
  };
}

/** @param {number[]} shape */
export const count = (shape) => shape.reduce((product, size) => product * size, 1);

/** Position in row-major order. @param {number[]} shape @param {number[]} index */
export const flat = (shape, index) => index.reduce((place, part, axis) => place * shape[axis] + part, 0);

/** @param {number[]} shape @param {number} place @returns {number[]} */
export function unflat(shape, place) {
  const index = shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = place % shape[axis];
    place = Math.floor(place / shape[axis]);
  }
  return index;
}

/** The gradient that arrives at the output: ones unless it was given. @param {State} state @param {Plan} p
 * @returns {Tensor} */
export const arriving = (state, p) =>
  state.grad_output ?? { shape: p.output, values: new Array(count(p.output)).fill(1) };
