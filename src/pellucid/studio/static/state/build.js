// @ts-check
/** From settings and numbers to the state that is drawn, and back; tensors grow and shrink with their shapes. */
import { count, flat, plan, unflat, WEIGHTED } from "../numerics/plan.js";
import { resultShape } from "../numerics/terms.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("./presets.js").Numbers} Numbers
 * @typedef {import("./presets.js").Settings & {preset: string}} Settings
 */

/** A small whole number for a place that no one has filled: the same for every reader of a link.
 * @param {number[]} index */
function smallNumber(index) {
  const mixed = index.reduce((sum, part) => (sum * 31 + part * 17 + 5) % 1009, 7);
  return (mixed % 11) - 5;
}

/** Values of `from` where both shapes have a place, `filling` elsewhere.
 * @param {Tensor} from @param {number[]} shape @param {(index: number[]) => number} filling @returns {Tensor} */
export function refit(from, shape, filling) {
  if (String(from.shape) === String(shape)) return from;
  const values = Array.from({ length: count(shape) }, (_, place) => {
    const index = unflat(shape, place);
    const inside = index.every((part, axis) => part < from.shape[axis]);
    return inside ? from.values[flat(from.shape, index)] : filling(index);
  });
  return { shape, values };
}

/** Torch's shape of the weight. @param {Settings} s @returns {number[]} */
export function weightShape(s) {
  const transposed = s.operation === "conv_transpose2d";
  const [own, other] = transposed ? [s.in_channels, s.out_channels] : [s.out_channels, s.in_channels];
  return [own, other / s.groups, ...s.kernel_size];
}

/** What an operation leaves no choice of. @param {Settings} s @returns {Settings} */
export function settled(s) {
  if (s.operation === "conv2d") return s;
  const plain = { ...s, padding_mode: "zeros" };
  if (s.operation === "conv_transpose2d") return plain;
  const pooling = { ...plain, out_channels: s.in_channels, groups: 1, flip: false };
  if (s.operation !== "relu") return s.operation === "max_pool2d" ? pooling : { ...pooling, dilation: [1, 1] };
  const one = { kernel_size: [1, 1], stride: [1, 1], dilation: [1, 1] };
  return { ...pooling, ...one, padding: [0, 0], ceil_mode: false };
}

/** @param {Settings} settings checked @param {Numbers} numbers kept where they fit @returns {State} */
export function build(settings, numbers) {
  const { in_channels, out_channels, size, bias, at, ask, ...s } = settled(settings);
  const none = { shape: [0], values: [] };
  const state = {
    ...s,
    pass: passOf(settings),
    x: refit(numbers.x, [in_channels, ...size], smallNumber),
    weight: refit(numbers.weight, weightShape(settled(settings)), smallNumber),
    bias: bias ? refit(numbers.bias ?? none, [out_channels], () => 0) : null,
    grad_output: null,
    at: [],
    ask: null,
  };
  const p = plan(state);
  const shape = resultShape(p, state.pass);
  const grad_output = numbers.grad_output && refit(numbers.grad_output, p.output, () => 1);
  return { ...state, grad_output, at: within(at, shape), ask: ask && within(ask, shape) };
}

/** The passes an operation has. @param {{operation: string}} s @param {boolean} bias */
export function passesOf(s, bias) {
  if (!WEIGHTED.has(s.operation)) return ["forward", "x"];
  return ["forward", "x", "weight", ...(bias ? ["bias"] : [])];
}

/** @param {Settings} s @returns {State["pass"]} */
function passOf(s) {
  return /** @type {State["pass"]} */ (passesOf(s, s.bias).includes(s.pass) ? s.pass : "forward");
}

/** The middle of a tensor: first channel, central cell. @param {number[]} shape */
export function middle(shape) {
  const planes = shape.length > 1 ? shape.length - 2 : 1;
  return shape.map((size, axis) => (axis < planes ? 0 : Math.floor(size / 2)));
}

/** An index inside a shape; an index of another kind gives the middle.
 * @param {number[] | null} index @param {number[]} shape */
export function within(index, shape) {
  if (!index || index.length !== shape.length) return middle(shape);
  return index.map((part, axis) => Math.max(0, Math.min(part, shape[axis] - 1)));
}

/** The settings that a state came from. @param {State} state @returns {Settings} */
export function settingsFrom(state) {
  const { x, weight, bias, grad_output, ...rest } = state;
  const transposed = state.operation === "conv_transpose2d";
  const outputs = transposed ? weight.shape[1] * state.groups : weight.shape[0];
  return {
    ...rest,
    in_channels: x.shape[0],
    out_channels: WEIGHTED.has(state.operation) ? outputs : x.shape[0],
    size: x.shape.slice(1),
    bias: bias !== null,
  };
}
