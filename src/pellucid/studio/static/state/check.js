// @ts-check
/** What torch would refuse, or the page cannot draw: the argument, its value and the cure, as a key of words.js. */
import { axis } from "../numerics/axis.js";
import { WEIGHTED } from "../numerics/plan.js";
import { settled } from "./build.js";

/** @typedef {{key: string, values: Record<string, string | number>, argument: string}} Problem */
/** @typedef {import("./presets.js").Settings & {preset: string}} Settings */

export const OPERATIONS = ["conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "relu"];
export const PASSES = ["forward", "x", "weight", "bias"];
export const PADDING_MODES = ["zeros", "reflect", "replicate", "circular"];
/** Least and most of every whole number. @type {Record<string, [number, number]>} */
export const LIMITS = {
  in_channels: [1, 8],
  out_channels: [1, 8],
  size: [1, 16],
  kernel_size: [1, 11],
  stride: [1, 8],
  padding: [0, 8],
  dilation: [1, 6],
  groups: [1, 8],
  output_padding: [0, 7],
};
/** The largest output side that is drawn. */
export const MOST_OUTPUT = 24;

/** @param {string} argument @param {string} key @param {Record<string, string | number>} values @returns {Problem} */
const problem = (argument, key, values) => ({ argument, key, values: { argument, ...values } });

/** The first thing wrong with settings, or null. @param {Settings} given @returns {Problem | null} */
export function check(given) {
  const s = settled(given);
  return beyondLimits(s) ?? wrongGroups(s) ?? wrongPadding(s) ?? wrongOutputPadding(s) ?? wrongSize(s);
}

/** @param {Settings} s */
function beyondLimits(s) {
  for (const [argument, [least, most]] of Object.entries(LIMITS)) {
    const given = /** @type {any} */ (s)[argument];
    if (typeof given === "string") continue;
    const bad = [given].flat().find((part) => !Number.isInteger(part) || part < least || part > most);
    if (bad !== undefined) return problem(argument, "error.limits", { value: String(bad), least, most });
  }
  return null;
}

/** @param {Settings} s */
function wrongGroups(s) {
  if (!WEIGHTED.has(s.operation)) return null;
  for (const argument of /** @type {const} */ (["in_channels", "out_channels"])) {
    if (s[argument] % s.groups) {
      return problem("groups", "error.groups", { value: s.groups, other: argument, size: s[argument] });
    }
  }
  return null;
}

/** @param {Settings} s */
function wrongPadding(s) {
  if (typeof s.padding === "string") return wrongWord(s, s.padding);
  for (const side of [0, 1]) {
    const [value, size, kernel] = [s.padding[side], s.size[side], s.kernel_size[side]];
    if (s.operation.endsWith("pool2d") && value > Math.floor(kernel / 2)) {
      return problem("padding", "error.pool_padding", { value, kernel, most: Math.floor(kernel / 2) });
    }
    if (s.operation !== "conv2d") continue;
    const most = s.padding_mode === "reflect" ? size - 1 : s.padding_mode === "circular" ? size : Infinity;
    if (value > most) return problem("padding", `error.${s.padding_mode}`, { value, size, most });
  }
  return null;
}

/** `same` and `valid`, which are a convolution's alone. @param {Settings} s @param {string} word */
function wrongWord(s, word) {
  if (s.operation !== "conv2d") return problem("padding", "error.word", { value: word, operation: s.operation });
  if (word === "same" && s.stride.some((step) => step !== 1)) {
    return problem("padding", "error.same_stride", { stride: s.stride.join(" × ") });
  }
  for (const side of [0, 1]) {
    const after = Math.ceil((s.dilation[side] * (s.kernel_size[side] - 1)) / 2);
    const most =
      s.padding_mode === "reflect" ? s.size[side] - 1 : s.padding_mode === "circular" ? s.size[side] : Infinity;
    if (word === "same" && after > most) {
      return problem("padding", `error.${s.padding_mode}`, { value: `same (${after})`, size: s.size[side], most });
    }
  }
  return null;
}

/** @param {Settings} s */
function wrongOutputPadding(s) {
  if (s.operation !== "conv_transpose2d") return null;
  for (const side of [0, 1]) {
    const most = Math.max(s.stride[side], s.dilation[side]) - 1;
    const value = s.output_padding[side];
    if (value > most) return problem("output_padding", "error.output_padding", { value, most });
  }
  return null;
}

/** @param {Settings} s */
function wrongSize(s) {
  for (const side of [0, 1]) {
    const line = axis({
      operation: s.operation,
      size: s.size[side],
      kernel: s.kernel_size[side],
      stride: s.stride[side],
      padding: typeof s.padding === "string" ? s.padding : s.padding[side],
      dilation: s.dilation[side],
      outputPadding: s.output_padding[side],
      paddingMode: "zeros",
      ceilMode: s.ceil_mode,
    });
    const values = { value: s.kernel_size[side], span: line.span + 1, room: s.size[side] + line.before + line.after };
    if (line.output < 1) {
      const key = s.operation === "conv_transpose2d" ? "error.cropped" : "error.no_output";
      return problem(key === "error.cropped" ? "padding" : "kernel_size", key, { ...values, padding: line.before });
    }
    if (line.output > MOST_OUTPUT) {
      return problem("size", "error.too_large", { value: line.output, most: MOST_OUTPUT });
    }
  }
  return null;
}
