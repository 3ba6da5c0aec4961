// @ts-check
/** The presets: what each sets beyond the defaults. Their titles and sentences stand in words.js. */

/** @param {string} text rows divided by `/`, channels by `;` */
const grid = (text) => text.split(/[;/]/).flatMap((row) => row.trim().split(/\s+/).map(Number));

const DECK_X = grid("-5 3 2 -5 3 / 4 3 2 1 -3 / 1 0 3 3 5 / -2 0 1 4 4 / 5 6 7 9 -1");
const DECK_W = grid("6 1 8 / -7 9 2 / -5 -9 3");
const DECK_Y = grid("-66 25 -43 -81 84 / 52 -4 -39 -7 -121 / 55 55 64 -24 -29 / -44 -12 -22 -21 -5 / 55 29 72 72 -44");
const ROOF = grid(`62 60 58 61 57 54 55 / 64 61 60 58 55 57 60 / 60 63 59 61 98 141 160 / 57 60 92 150 183 190 188 /
  88 139 178 192 195 193 191 / 171 188 194 196 194 195 192 / 190 195 197 195 196 193 194`);
const BLOBS = grid(`3 0 1 2 7 4 / 1 5 8 9 3 1 / 2 7 2 5 1 3 / 0 1 3 1 7 8 / 4 2 1 6 2 8 / 2 4 5 2 3 9`);
const BINOMIAL = [1, 4, 6, 4, 1].flatMap((a) => [1, 4, 6, 4, 1].map((b) => (a * b) / 256));

/** A cosine under a bell, like those that first layers learn, to one decimal. */
const WAVE = Array.from({ length: 49 }, (_, place) => {
  const [y, x] = [Math.floor(place / 7) - 3, (place % 7) - 3];
  return Math.round(20 * Math.exp(-(x * x + y * y) / 8) * Math.cos(1.2 * x + 0.5 * y)) / 10 + 0;
});
/** A disc on a slope, 16 by 16. */
const DISC = Array.from({ length: 256 }, (_, place) => {
  const [y, x] = [Math.floor(place / 16), place % 16];
  return Math.hypot(y - 7, x - 9) < 4.6 ? 9 : Math.floor((x + y) / 8);
});

/** @param {number[]} shape @param {number[]} values */
const tensor = (shape, values) => ({ shape, values });

/** @typedef {import("../numerics/plan.js").Tensor} Tensor */
/** @typedef {{x: Tensor, weight: Tensor, bias: Tensor | null, grad_output: Tensor | null}} Numbers */

export const DEFAULTS = {
  operation: "conv2d", pass: "forward", in_channels: 1, out_channels: 1, size: [5, 5], kernel_size: [3, 3],
  stride: [1, 1], padding: /** @type {number[] | "same" | "valid"} */ ([0, 0]), dilation: [1, 1], groups: 1,
  output_padding: [0, 0], padding_mode: "zeros", bias: true, ceil_mode: false, count_include_pad: true, flip: false,
  at: /** @type {number[] | null} */ (null), ask: /** @type {number[] | null} */ (null),
  from: /** @type {string | null} */ (null), channels: /** @type {string | null} */ (null),
  network: /** @type {number | null} */ (null), rest: /** @type {number | null} */ (null),
  more: /** @type {number | null} */ (null),
};
/** @type {Numbers} */
const NUMBERS = { x: tensor([1, 5, 5], DECK_X), weight: tensor([1, 1, 3, 3], DECK_W), bias: null, grad_output: null };

/** @typedef {typeof DEFAULTS} Settings */
/** @typedef {{name: string, lesson: string, set: Partial<Settings>, numbers?: Partial<Numbers>}} Preset */

const photo = { size: [7, 7], padding: [1, 1], padding_mode: "replicate", at: [0, 3, 3], bias: false };
/** A kernel over seven by seven pixels of a roof. @param {number} side @param {number[]} values */
const onRoof = (side, values) => ({ x: tensor([1, 7, 7], ROOF), weight: tensor([1, 1, side, side], values) });
const X2 = tensor([1, 2, 2], [0, 1, 2, 3]);
const K2 = tensor([1, 1, 2, 2], [0, 1, 2, 3]);

/** @type {Preset[]} */
export const PRESETS = [
  { name: "conv-3x3", lesson: "window", set: { padding: [1, 1], at: [0, 2, 2] } },
  { name: "stride-2", lesson: "window", set: { padding: [1, 1], stride: [2, 2], at: [0, 1, 1] } },
  { name: "dilation-1", lesson: "window", set: { at: [0, 1, 1] } },
  { name: "dilation-2", lesson: "window", set: { padding: [2, 2], dilation: [2, 2], at: [0, 2, 2] } },
  { name: "pooling-4x4", lesson: "layers",
    set: { operation: "max_pool2d", size: [4, 4], kernel_size: [2, 2], stride: [2, 2], at: [0, 0, 1] },
    numbers: { x: tensor([1, 4, 4], grid("5 3 1 9 / 2 4 5 6 / 7 8 5 6 / 1 3 4 5")) } },
  { name: "relu", lesson: "layers", set: { operation: "relu", at: [0, 0, 0] },
    numbers: { x: tensor([1, 5, 5], DECK_Y) } },
  { name: "photo-edge", lesson: "photo", set: photo, numbers: onRoof(3, grid("0 1 0 / 1 -4 1 / 0 1 0")) },
  { name: "photo-box", lesson: "photo", set: photo, numbers: onRoof(3, new Array(9).fill(1 / 9)) },
  { name: "photo-sharpen", lesson: "photo", set: photo, numbers: onRoof(3, grid("0 -1 0 / -1 5 -1 / 0 -1 0")) },
  { name: "photo-gaussian", lesson: "photo", set: { ...photo, kernel_size: [5, 5], padding: [2, 2] },
    numbers: onRoof(5, BINOMIAL) },
  { name: "backward-2x2", lesson: "backward",
    set: { size: [3, 3], kernel_size: [2, 2], pass: "weight", at: [0, 0, 0, 0] },
    numbers: {
      x: tensor([1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]), weight: tensor([1, 1, 2, 2], [1, 2, 3, 4]),
      grad_output: tensor([1, 2, 2], [1, -1, 2, 0.5]),
    } },
  { name: "same-even", lesson: "arguments", set: { padding: "same", kernel_size: [2, 2], at: [0, 4, 4] },
    numbers: { weight: tensor([1, 1, 2, 2], [6, 1, -7, 9]) } },
  { name: "grouped", lesson: "arguments",
    set: { in_channels: 4, out_channels: 4, groups: 2, size: [4, 4], kernel_size: [2, 2], at: [2, 1, 1] } },
  { name: "depthwise", lesson: "arguments",
    set: { in_channels: 3, out_channels: 3, groups: 3, padding: [1, 1], at: [1, 2, 2] } },
  { name: "transposed", lesson: "arguments",
    set: { operation: "conv_transpose2d", size: [2, 2], kernel_size: [2, 2], at: [0, 1, 1] },
    numbers: { x: X2, weight: K2 } },
  { name: "cs231n", lesson: "textbooks", set: { size: [1, 5], kernel_size: [1, 3], padding: [0, 1], at: [0, 0, 1] },
    numbers: { x: tensor([1, 1, 5], [1, 2, -1, 1, -3]), weight: tensor([1, 1, 1, 3], [1, 0, -1]) } },
  { name: "d2l", lesson: "textbooks", set: { size: [3, 3], kernel_size: [2, 2], at: [0, 0, 0] },
    numbers: { x: tensor([1, 3, 3], [0, 1, 2, 3, 4, 5, 6, 7, 8]), weight: K2 } },
  { name: "dumoulin-strided", lesson: "textbooks",
    set: { size: [6, 6], padding: [1, 1], stride: [2, 2], at: [0, 1, 1] },
    numbers: { x: tensor([1, 6, 6], BLOBS), weight: tensor([1, 1, 3, 3], grid("0 1 2 / 2 2 0 / 0 1 2")) } },
  { name: "resnet-conv1", lesson: "textbooks",
    set: { size: [16, 16], kernel_size: [7, 7], stride: [2, 2], padding: [3, 3], bias: false, at: [0, 3, 4] },
    numbers: { x: tensor([1, 16, 16], DISC), weight: tensor([1, 1, 7, 7], WAVE) } },
];

export const LESSONS = ["window", "layers", "photo", "backward", "arguments", "textbooks"];

/** @param {string} name */
const presetNamed = (name) => PRESETS.find((preset) => preset.name === name) ?? PRESETS[0];

/** All settings of a preset. @param {string} name @returns {Settings & {preset: string}} */
export function settingsOf(name) {
  const preset = presetNamed(name);
  return { ...DEFAULTS, ...preset.set, preset: preset.name };
}

/** The numbers of a preset, of the shapes they were written in. @param {string} name @returns {Numbers} */
export const numbersOf = (name) => ({ ...NUMBERS, ...presetNamed(name).numbers });

/** @param {string} name */
export const isPhoto = (name) => presetNamed(name).lesson === "photo";
