// @ts-check
/**
 * A picture through a kernel, number for number as pellucid.ops.responses does it: fractions of one divisor up to
 * 10 000 in whole numbers, other kernels in float64 tap by tap, the border repeated, ⌊· + ½⌋ to bytes.
 */
import { drawRow, RULES, widen } from "./bytes.js";

/**
 * @typedef {{shape: number[], values: number[]}} Kernel
 * @typedef {{rows: number, cols: number, values: ArrayLike<number>}} Step
 * @typedef {import("./bytes.js").Show} Show
 * @typedef {import("./bytes.js").Told} Told
 * @typedef {{width: number, height: number, data: Uint8ClampedArray}} Picture
 */

const MOST_DIVISOR = 10_000;
const EXACT = 2 ** 53;
const SAME_PRODUCT = 2 ** -50;
const CHANNELS = 3;

/** @param {number} sum @param {number} value */
const addSize = (sum, value) => sum + Math.abs(value);

/** Whether a kernel answers 0 on an even area. @param {Kernel} kernel */
function sumsToZero({ values }) {
  const sum = values.reduce((total, value) => total + value, 0);
  return Math.abs(sum) <= values.reduce(addSize, 0) * 1e-12;
}

/** Half to even, as NumPy's rint. @param {number} value */
function rint(value) {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** The least divisor that makes every value whole, or 0. @param {number[]} values */
function commonDivisor(values) {
  for (let divisor = 1; divisor <= MOST_DIVISOR; divisor++) {
    if (values.every((value) => rint(value * divisor) / divisor === value)) return divisor;
  }
  return 0;
}

/** @param {number[]} values @returns {{weights: number[], divisor: number, whole: boolean}} */
function weightsOf(values) {
  const divisor = commonDivisor(values);
  const weights = values.map((value) => rint(value * divisor));
  const whole = divisor > 0 && weights.reduce(addSize, 0) * 255 + divisor < EXACT;
  return whole ? { weights, divisor, whole } : { weights: values, divisor: 1, whole };
}

/** @param {number} a @param {number} b @returns {number} */
const gcd = (a, b) => (b ? gcd(b, a % b) : Math.abs(a));

/** A column and a row whose product is the kernel, where that saves work; else the kernel itself.
 * @param {number[]} weights @param {number} rows @param {number} cols @param {boolean} whole @returns {Step[]} */
function stepsOf(weights, rows, cols, whole) {
  const all = [{ rows, cols, values: weights }];
  if (weights.filter(Boolean).length <= rows + cols) return all;
  const sizes = weights.map(Math.abs);
  const pivot = sizes.indexOf(Math.max(...sizes));
  const [top, left] = [Math.floor(pivot / cols), pivot % cols];
  const line = weights.slice(top * cols, (top + 1) * cols);
  const row = whole ? line.map((weight) => weight / line.reduce(gcd)) : line;
  const column = Array.from({ length: rows }, (_, u) => weights[u * cols + left] / row[left]);
  const near = whole ? 0 : SAME_PRODUCT;
  const close = weights.every((weight, at) => {
    const product = column[Math.floor(at / cols)] * row[at % cols];
    return Math.abs(product - weight) <= near * Math.abs(weight);
  });
  if (!close || (whole && !column.every(Number.isInteger))) return all;
  return [{ rows, cols: 1, values: column }, { rows: 1, cols, values: row }];
}

/** The channels of a picture as planes with the border repeated around them; kept as long as the sizes stay. */
class Planes {
  /** @param {Picture} picture @param {number} rows @param {number} cols of the kernel */
  constructor(picture, rows, cols) {
    this.outWidth = picture.width;
    this.height = picture.height + rows - 1;
    this.width = picture.width + cols - 1;
    this.planes = Array.from({ length: CHANNELS }, (_, channel) => this.#plane(picture, channel, rows, cols));
    this.results = this.planes.map(() => new Float64Array(picture.width * picture.height));
  }

  /** @param {Picture} picture @param {number} channel @param {number} rows @param {number} cols */
  #plane({ width, height, data }, channel, rows, cols) {
    const found = new Float64Array(this.height * this.width);
    const [top, left] = [Math.floor((rows - 1) / 2), Math.floor((cols - 1) / 2)];
    for (let r = 0, to = 0; r < this.height; r++) {
      const from = Math.min(Math.max(r - top, 0), height - 1) * width;
      for (let q = 0; q < this.width; q++) {
        found[to++] = data[(from + Math.min(Math.max(q - left, 0), width - 1)) * 4 + channel];
      }
    }
    return found;
  }
}

/** One step over one plane: every window that fits, row after row; `after` hears where a finished row begins.
 * @param {Float64Array} plane @param {number} width of the plane @param {number} height @param {Step} step
 * @param {Float64Array} found @param {(start: number) => void} after */
function correlate(plane, width, height, { rows, cols, values }, found, after) {
  const [outRows, outCols] = [height - rows + 1, width - cols + 1];
  for (let y = 0, to = 0; y < outRows; y++, to += outCols) {
    found.fill(0, to, to + outCols);
    for (let u = 0; u < rows; u++) addRow(found, to, outCols, plane, (y + u) * width, values, u * cols, cols);
    after(to);
  }
}

/** Three taps at a time, added from left to right: the order of the sums is part of the arithmetic.
 * @param {Float64Array} found @param {number} to @param {number} length @param {Float64Array} plane @param {number} start
 * @param {ArrayLike<number>} values @param {number} first @param {number} cols */
function addRow(found, to, length, plane, start, values, first, cols) {
  let v = 0;
  for (; v + 2 < cols; v += 3) {
    const [a, b, c] = [values[first + v], values[first + v + 1], values[first + v + 2]];
    if (a === 0 && b === 0 && c === 0) continue;
    let from = start + v;
    let [left, middle] = [plane[from], plane[from + 1]];
    from += 2;
    for (let x = to; x < to + length; x++, from++) {
      const right = plane[from];
      found[x] = found[x] + a * left + b * middle + c * right;
      left = middle;
      middle = right;
    }
  }
  for (; v < cols; v++) {
    const a = values[first + v];
    if (a !== 0) for (let x = 0; x < length; x++) found[to + x] += a * plane[start + v + x];
  }
}

/** The picture's responses as bytes in `data` (RGBA), and what became of them. @param {Planes} source @param {Kernel} kernel
 * @param {Show | null} asked @param {Uint8ClampedArray} data @returns {Told} */
function filterPlanes(source, kernel, asked, data) {
  const { weights, divisor, whole } = weightsOf(kernel.values);
  const steps = stepsOf(weights, kernel.shape[0], kernel.shape[1], whole);
  const show = asked ?? (sumsToZero(kernel) ? "absolute" : "clip");
  const told = { show, low: Infinity, high: -Infinity, darker: 0, brighter: 0 };
  const alone = show === "clip" || show === "absolute";
  const rows = (/** @type {(values: Float64Array, start: number, channel: number) => void} */ each) =>
    source.results.forEach((values, channel) => {
      for (let start = 0; start < values.length; start += source.outWidth) each(values, start, channel);
    });
  const draw = () => {
    const byte = RULES[show](told.low, told.high, divisor);
    return (/** @type {Float64Array} */ values, /** @type {number} */ start, /** @type {number} */ channel) =>
      drawRow(values, start, source.outWidth, byte, data, channel, told);
  };
  const drawAtOnce = alone ? draw() : null;
  source.planes.forEach((plane, channel) => {
    apply(source, plane, steps, channel, (values, start) => {
      widen(values, start, source.outWidth, told);
      drawAtOnce?.(values, start, channel);
    });
  });
  if (!alone) rows(draw());
  for (let at = 3; at < data.length; at += 4) data[at] = 255;
  return { ...told, low: told.low / divisor, high: told.high / divisor };
}

/** All steps over one channel; `after` hears each row of the last. @param {Planes} source @param {Float64Array} plane
 * @param {Step[]} steps @param {number} channel @param {(values: Float64Array, start: number) => void} after */
function apply(source, plane, steps, channel, after) {
  let [now, width, height] = [plane, source.width, source.height];
  for (const step of steps) {
    const [outWidth, outHeight] = [width - step.cols + 1, height - step.rows + 1];
    const last = step === steps.at(-1);
    const result = last ? source.results[channel] : new Float64Array(outWidth * outHeight);
    correlate(now, width, height, step, result, last ? (start) => after(result, start) : () => {});
    [now, width, height] = [result, outWidth, outHeight];
  }
}

/** One picture, filtered again and again; its planes are kept while the kernel's size stays. */
export class Filter {
  /** @type {Planes | null} */ #planes = null;
  #size = "";

  /** @param {Picture} picture */
  constructor(picture) {
    this.picture = picture;
  }

  /** @param {Kernel} kernel @param {Show | null} show @param {Uint8ClampedArray} data @returns {Told} */
  run(kernel, show, data) {
    if (this.#size !== String(kernel.shape) || !this.#planes) {
      this.#planes = new Planes(this.picture, kernel.shape[0], kernel.shape[1]);
      this.#size = String(kernel.shape);
    }
    return filterPlanes(this.#planes, kernel, show, data);
  }
}
