// @ts-check
/** The diverging scale: nine steps from -4 to 4, symmetric about zero. Its colours stand in studio.css. */

/** The largest finite size among values: the scale's limit on both sides. @param {Iterable<number>} values */
export function limitOf(values) {
  let limit = 0;
  for (const value of values) if (Number.isFinite(value)) limit = Math.max(limit, Math.abs(value));
  return limit;
}

/** @param {number} value @param {number} limit */
export function stepOf(value, limit) {
  if (!limit || Number.isNaN(value)) return 0;
  return Math.round(4 * Math.max(-1, Math.min(1, value / limit))) + 0;
}
