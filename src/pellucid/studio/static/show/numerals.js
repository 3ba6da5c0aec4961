// @ts-check
/** Numbers for readers: a true minus, four significant digits, the same decimals within a grid. */

const SIGNIFICANT = 4;

/** @param {string} text */
const trueMinus = (text) => text.replace("-", "−");

/** Decimals that show the largest value with four significant digits, and no more than all values need.
 * @param {Iterable<number>} values */
export function decimalsFor(values) {
  let largest = 0;
  let needed = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    largest = Math.max(largest, Math.abs(value));
    while (
      needed < SIGNIFICANT &&
      Math.abs(value * 10 ** needed - Math.round(value * 10 ** needed)) > 1e-9 * 10 ** needed
    ) {
      needed++;
    }
  }
  const most = largest < 1 ? SIGNIFICANT : Math.max(0, SIGNIFICANT - 1 - Math.floor(Math.log10(largest)));
  return Math.min(needed, most);
}

/** @param {number} value @param {number} [decimals] */
export function numeral(value, decimals = decimalsFor([value])) {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : value < 0 ? "−∞" : "–";
  if (Math.abs(value) >= 1e7) return trueMinus(value.toExponential(3));
  const text = value.toFixed(decimals);
  return trueMinus(Number(text) === 0 ? text.replace("-", "") : text);
}

/** A very small or plain number: `7.5e−8`. @param {number} value */
export const tiny = (value) => (value === 0 ? "0" : value.toExponential(1).replace(/-/g, "−"));

/** Every digit of a number. @param {number} value */
export const exact = (value) => trueMinus(String(value));

/** What a reader typed, with either minus and either decimal sign; null where it is no number. @param {string} text */
export function typed(text) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  const value = plain === "" ? NaN : Number(plain);
  return Number.isFinite(value) ? value : null;
}
