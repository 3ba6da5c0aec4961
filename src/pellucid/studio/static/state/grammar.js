// @ts-check
/** How one value of the address is read and written; which keys there are. The whole grammar stands in fragment.js. */
import { LIMITS, OPERATIONS, PADDING_MODES, PASSES } from "./check.js";
import { PRESETS } from "./presets.js";

/** @type {Record<string, string[]>} */
export const WORDS = {
  preset: PRESETS.map((preset) => preset.name),
  operation: OPERATIONS,
  pass: PASSES,
  padding_mode: PADDING_MODES,
  lang: ["en", "fr"],
};
export const FLAGS = /** @type {const} */ (["ceil_mode", "count_include_pad", "flip"]);
export const GRIDS = /** @type {const} */ (["x", "weight", "bias", "grad_output"]);
const INDICES = ["at", "ask"];
const SINGLE = ["in_channels", "out_channels", "groups"];
/** Of a number of a network: its name, the channels that are drawn, its own value, what those left out give. */
export const TEXTS = /** @type {const} */ (["from", "channels"]);
export const REALS = /** @type {const} */ (["network", "rest", "more"]);
export const KEYS = [...Object.keys(WORDS), ...Object.keys(LIMITS), ...FLAGS, ...INDICES, ...GRIDS, ...TEXTS, ...REALS];

const MOST_TEXT = 300;

/** A key or value that does not follow the grammar. */
export class Malformed extends Error {}

/** @param {string} key @param {string} text @returns {any} */
export function read(key, text) {
  if (!KEYS.includes(key)) throw new Malformed();
  if (key in WORDS) return oneOf(WORDS[key], text);
  if (FLAGS.includes(/** @type {any} */ (key))) return oneOf(["true", "false"], text) === "true";
  if (key === "padding" && ["same", "valid"].includes(text)) return text;
  if (key === "bias" && text === "none") return null;
  if (TEXTS.includes(/** @type {any} */ (key))) return text.slice(0, MOST_TEXT);
  const found = numbers(text);
  if (REALS.includes(/** @type {any} */ (key))) return sized(found, 1);
  if (GRIDS.includes(/** @type {any} */ (key))) return found;
  if (!found.every((part) => Number.isInteger(part))) throw new Malformed();
  return INDICES.includes(key) ? found : sized(found, SINGLE.includes(key) ? 1 : 2);
}

/** @param {string[]} allowed @param {string} text */
function oneOf(allowed, text) {
  if (!allowed.includes(text)) throw new Malformed();
  return text;
}

/** @param {string} text @returns {number[]} */
function numbers(text) {
  const found = text.split(/[,/;]/).map((part) => (part.trim() === "" ? NaN : Number(part)));
  if (!found.every(Number.isFinite)) throw new Malformed();
  return found;
}

/** @param {number[]} found @param {number} length */
function sized(found, length) {
  if (found.length === 1) return length === 1 ? found[0] : [found[0], found[0]];
  if (found.length !== length) throw new Malformed();
  return found;
}

/** @param {{shape: number[], values: number[]}} tensor */
export function gridText({ shape, values }) {
  const [height, width] = shape.length > 1 ? shape.slice(-2) : [1, values.length];
  const rows = cut(values, width).map((row) => row.join(","));
  return cut(rows, height)
    .map((plane) => plane.join("/"))
    .join(";");
}

/** @template T @param {T[]} list @param {number} length @returns {T[][]} */
const cut = (list, length) =>
  Array.from({ length: list.length / length }, (_, part) => list.slice(part * length, (part + 1) * length));

/** A setting as text: 2,2 is written 2. @param {unknown} value */
export function pairText(value) {
  if (!Array.isArray(value)) return String(value);
  return value[0] === value[1] ? String(value[0]) : value.join(",");
}
