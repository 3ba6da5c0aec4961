// @ts-check
/** From responses to bytes, by the rules of pellucid.ops.responses. */

/**
 * @typedef {"clip" | "absolute" | "signed" | "stretch"} Show
 * @typedef {{show: Show, low: number, high: number, darker: number, brighter: number}} Told
 */

/** The least and greatest response so far. @param {Float64Array} values @param {number} start @param {number} length
 * @param {Told} told */
export function widen(values, start, length, told) {
  let { low, high } = told;
  for (let at = start; at < start + length; at++) {
    const value = values[at];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  told.low = low;
  told.high = high;
}

/** @param {Float64Array} values @param {number} start @param {number} length @param {(value: number) => number} byte
 * @param {Uint8ClampedArray} data @param {number} channel @param {Told} told */
export function drawRow(values, start, length, byte, data, channel, told) {
  let [darker, brighter] = [0, 0];
  for (let at = start, to = start * 4 + channel; at < start + length; at++, to += 4) {
    const value = byte(values[at]);
    if (value < 0) darker++;
    if (value > 255) brighter++;
    data[to] = value;
  }
  told.darker += darker;
  told.brighter += brighter;
}

/** From a numerator to a byte, which is cut to 0..255 where it is stored.
 * @type {Record<Show, (low: number, high: number, divisor: number) => (value: number) => number>} */
export const RULES = {
  clip: (low, high, divisor) => (value) => Math.floor(value / divisor + 0.5),
  absolute: (low, high, divisor) => (value) => Math.floor(Math.abs(value) / divisor + 0.5),
  signed: (low, high) => {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return (value) => Math.floor((value * 127) / most + 128.5);
  },
  stretch: (low, high) => (value) => Math.floor(((value - low) * 255) / (high - low || 1) + 0.5),
};
