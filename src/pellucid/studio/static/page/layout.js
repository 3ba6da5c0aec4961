// @ts-check
/** How large cells are and how many cards stand side by side, so that a state fits beside its arguments. */
import { extent } from "../numerics/axis.js";

/**
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {import("../numerics/axis.js").Axis} Axis
 */

/** @param {Axis} line */
const span = (line) => extent(line)[1] - extent(line)[0];

/** Cells across one card. @param {Plan} p @param {string} space */
function width(p, space) {
  if (space === "input") return span(p.cols);
  if (space === "weight") return p.cols.kernel;
  return space === "bias" ? p.output[0] : p.output[2];
}

/** Cards side by side in a place. @param {Plan} p @param {string} space @param {number} cards in one group */
export function columnsOf(p, space, cards) {
  const room = space === "weight" ? 7 : 11;
  return Math.max(1, Math.min(cards, Math.floor(room / width(p, space))));
}

/** @param {Plan} p @param {"input" | "output"} space */
function stack(p, space) {
  const groups = p.weighted ? p.groups : 1;
  const [channels, rows] = space === "input" ? [p.input[0], span(p.rows)] : [p.output[0], p.output[1]];
  return { rows: rows * groups * Math.ceil(channels / groups / columnsOf(p, space, channels / groups)), channels };
}

/** `large`, `medium` or `small` cells. @param {Plan} p @param {{space: string}[]} shown */
export function sizeOf(p, shown) {
  const across = shown.reduce((sum, role) => sum + width(p, role.space), 0);
  const [left, right] = [stack(p, "input"), stack(p, "output")];
  const rows = Math.max(left.rows, right.rows);
  if (across <= 17 && rows <= 8 && Math.max(left.channels, right.channels) < 3) return "large";
  return across <= 25 && rows <= 14 ? "medium" : "small";
}
