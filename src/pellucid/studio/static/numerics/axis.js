// @ts-check
/**
 * One axis of a window operation. Windows stand on a ground; `reads[window][tap]` is the index on the ground that
 * a tap reads. A convolution's ground is its input and each window gives one output; a transposed convolution is the
 * same table with the roles exchanged: its ground is its output, and each input writes one window.
 */

/** A tap on a zero (or, for max, -inf) pad. */
export const PAD = -1;
/** A tap beyond the padding, where only `ceil_mode` reaches. */
export const OUTSIDE = -2;

/**
 * @typedef {{operation: string, size: number, kernel: number, stride: number, padding: number | "same" | "valid",
 *   dilation: number, outputPadding: number, paddingMode: string, ceilMode: boolean}} AxisArguments
 * @typedef {AxisArguments & {before: number, after: number, span: number, windows: number, ground: number,
 *   output: number, reads: number[][]}} Axis
 */

/** @type {Record<string, (place: number, size: number) => number>} */
const FOLDS = {
  zeros: () => PAD,
  replicate: (place, size) => Math.min(Math.max(place, 0), size - 1),
  reflect: (place, size) => (place < 0 ? -place : 2 * (size - 1) - place),
  circular: (place, size) => ((place % size) + size) % size,
};

/** The source index of a padded coordinate: itself inside, the folded-back index or PAD in the border.
 * @param {number} place @param {number} size @param {string} mode */
export const fold = (place, size, mode) => (place >= 0 && place < size ? place : FOLDS[mode](place, size));

/** Padding before and after the axis; `same` puts the odd one at the end.
 * @param {number | "same" | "valid"} padding @param {number} span @returns {[number, number]} */
export function paddings(padding, span) {
  if (padding === "valid") return [0, 0];
  if (padding === "same") return [Math.floor(span / 2), span - Math.floor(span / 2)];
  return [padding, padding];
}

/** Windows that fit; with `ceil` one more may hang over the end, but it must start inside input or left padding.
 * @param {number} room @param {number} stride @param {boolean} ceil @param {number} lastStart */
function windowCount(room, stride, ceil, lastStart) {
  if (!ceil) return Math.max(0, Math.floor(room / stride) + 1);
  const count = Math.max(0, Math.ceil(room / stride) + 1);
  return (count - 1) * stride >= lastStart ? count - 1 : count;
}

/** @param {AxisArguments} given @returns {Axis} */
export function axis(given) {
  const span = given.dilation * (given.kernel - 1);
  const [before, after] = paddings(given.padding, span);
  const transposed = given.operation === "conv_transpose2d";
  const stretched = (given.size - 1) * given.stride - before - after + span + given.outputPadding + 1;
  const ground = transposed ? Math.max(0, stretched) : given.size;
  const room = given.size + before + after - span - 1;
  const windows = transposed ? given.size : windowCount(room, given.stride, given.ceilMode, given.size + before);
  const output = transposed ? ground : windows;
  const found = { ...given, span, before, after, windows, ground, output };
  return { ...found, reads: readTable(found) };
}

/** @param {Omit<Axis, "reads">} line @returns {number[][]} */
function readTable(line) {
  const source = (/** @type {number} */ place) =>
    place >= line.ground + line.after && line.ceilMode ? OUTSIDE : fold(place, line.ground, line.paddingMode);
  return Array.from({ length: line.windows }, (_, window) =>
    Array.from({ length: line.kernel }, (_, tap) => source(placeOf(line, window, tap))),
  );
}

/** Coordinate on the padded ground that a tap stands on, counted from the first real index.
 * @param {{stride: number, before: number, dilation: number}} line @param {number} window @param {number} tap */
export const placeOf = (line, window, tap) => window * line.stride - line.before + tap * line.dilation;

/** Every [window, tap] that reads a ground index.
 * @param {Axis} line @param {number} index @returns {[number, number][]} */
export function readersOf(line, index) {
  return pairs(line, (window, tap) => line.reads[window][tap] === index);
}

/** Every [window, tap] that stands on a padded coordinate.
 * @param {Axis} line @param {number} place @returns {[number, number][]} */
export function standingOn(line, place) {
  return pairs(line, (window, tap) => placeOf(line, window, tap) === place);
}

/** @param {Axis} line @param {(window: number, tap: number) => boolean} keep */
function pairs(line, keep) {
  /** @type {[number, number][]} */
  const found = [];
  for (let window = 0; window < line.windows; window++) {
    for (let tap = 0; tap < line.kernel; tap++) if (keep(window, tap)) found.push([window, tap]);
  }
  return found;
}

/** First and one past the last coordinate to show: the padded ground, and what `ceil_mode` hangs over.
 * @param {Axis} line @returns {[number, number]} */
export function extent(line) {
  if (line.operation === "conv_transpose2d") return [0, line.size];
  const last = line.windows ? placeOf(line, line.windows - 1, line.kernel - 1) + 1 : 0;
  return [-line.before, Math.max(line.size + line.after, last)];
}

/** Padded coordinates that no window reads. @param {Axis} line @returns {number[]} */
export function unread(line) {
  if (line.operation === "conv_transpose2d" || !line.windows) return [];
  const read = new Set();
  for (let window = 0; window < line.windows; window++) {
    for (let tap = 0; tap < line.kernel; tap++) read.add(placeOf(line, window, tap));
  }
  const [first, end] = [-line.before, line.size + line.after];
  return Array.from({ length: end - first }, (_, place) => first + place).filter((place) => !read.has(place));
}
