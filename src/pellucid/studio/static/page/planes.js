// @ts-check
/** What each grid of the page shows, as values: texts, colours and kinds of its cells. Holds no DOM. */
import { extent, fold, OUTSIDE, unread } from "../numerics/axis.js";
import { arriving } from "../numerics/plan.js";
import { limitOf, stepOf } from "../show/colour.js";
import { decimalsFor, exact, numeral } from "../show/numerals.js";
import { inWords, say, spoken } from "../show/words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./number-grid.js").Plane} Plane
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {{place: string, tensor: string, space: string}} Role
 */

/** Which tensor stands in which place, for a pass. @param {Plan} p @param {string} pass @returns {Role[]} */
export function roles(p, pass) {
  const role = (/** @type {string} */ place, /** @type {string} */ tensor, /** @type {string} */ space) => ({
    place,
    tensor,
    space,
  });
  const right = pass === "forward" ? role("right", "y", "output") : role("right", "grad_y", "output");
  if (!p.weighted) {
    const left = role("left", "x", "input");
    return pass === "forward" ? [left, right] : [left, role("middle", "grad_x", "input"), right];
  }
  if (pass === "bias") return [role("middle", "grad_bias", "bias"), right];
  const left = role("left", pass === "x" ? "grad_x" : "x", "input");
  const middle = role("middle", pass === "weight" ? "grad_weight" : "weight", "weight");
  return [left, middle, right];
}

/** The tensor that a pass gives. */
export const RESULTS = /** @type {Record<string, string>} */ ({
  forward: "y",
  x: "grad_x",
  weight: "grad_weight",
  bias: "grad_bias",
});
/** The space in which a pass's result lies. */
export const SPACES = /** @type {Record<string, string>} */ ({
  forward: "output",
  x: "input",
  weight: "weight",
  bias: "bias",
});
/** The tensors a reader may edit, and the state's names of them. */
export const EDITABLE = /** @type {Record<string, "x" | "weight" | "bias" | "grad_output">} */ ({
  x: "x",
  weight: "weight",
  bias: "bias",
  grad_y: "grad_output",
});

/** @param {Store} store @param {string} tensor @returns {Tensor} */
export function tensorNamed({ state, result, plan }, tensor) {
  const found = {
    x: state.x,
    weight: state.weight,
    bias: state.bias,
    y: result.output,
    grad_x: result.grad_x,
    grad_weight: result.grad_weight,
    grad_bias: result.grad_bias,
    grad_y: arriving(state, plan),
  };
  return /** @type {any} */ (found)[tensor];
}

/**
 * @typedef {{tensor: Tensor, name: string, space: string, decimals: number, limit: number,
 *   text: (value: number) => string}} Look
 */

/** How the numbers of a tensor are written and coloured: alike in all its channels.
 * @param {Store} store @param {string} name @param {string} space @returns {Look} */
export function lookOf(store, name, space) {
  const tensor = tensorNamed(store, name);
  const decimals = decimalsFor(tensor.values);
  return { tensor, name, space, decimals, limit: limitOf(tensor.values), text: (value) => numeral(value, decimals) };
}

/** A plane without padding: an output, a kernel, a gradient.
 * @param {Store} store @param {Look} look @param {number[]} channel leading indices @returns {Plane} */
export function plainPlane(store, look, channel) {
  const { shape, values } = look.tensor;
  const [height, width] = shape.length > 1 ? shape.slice(-2) : [1, shape[0]];
  const start = channel.reduce((place, part, axis) => place * shape[axis] + part, 0) * height * width;
  const shown = values.slice(start, start + height * width);
  const plane = blank(store, look, channel, [height, width], [0, 0]);
  shown.forEach((value, cell) => put(plane, cell, value, look, ""));
  hideAsked(store, plane);
  return plane;
}

/** An input with its padding around it and its unread cells marked.
 * @param {Store} store @param {Look} look @param {number} channel @returns {Plane} */
export function paddedPlane(store, look, channel) {
  const { rows, cols } = store.plan;
  const [[top, bottom], [left, right]] = [extent(rows), extent(cols)];
  const plane = blank(store, look, [channel], [bottom - top, right - left], [top, left]);
  const [skippedRows, skippedCols] = [new Set(unread(rows)), new Set(unread(cols))];
  const max = store.plan.operation === "max_pool2d";
  for (let r = top; r < bottom; r++) {
    for (let q = left; q < right; q++) {
      const cell = (r - top) * plane.width + q - left;
      const [row, col] = [sourceOf(rows, r), sourceOf(cols, q)];
      const kind = row < 0 || col < 0 || r !== row || q !== col ? "pad" : "";
      const value =
        row < 0 || col < 0 ? (max ? -Infinity : 0) : look.tensor.values[(channel * rows.size + row) * cols.size + col];
      put(plane, cell, value, look, skippedRows.has(r) || skippedCols.has(q) ? `${kind} unread`.trim() : kind);
      if (row === OUTSIDE || col === OUTSIDE) Object.assign(plane.texts, { [cell]: "·" });
    }
  }
  return plane;
}

/** @param {import("../numerics/axis.js").Axis} line @param {number} place */
const sourceOf = (line, place) =>
  place >= line.size + line.after ? OUTSIDE : fold(place, line.size, line.paddingMode);

/** @param {Store} store @param {Look} look @param {number[]} channel @param {number[]} size
 * @param {number[]} origin @returns {Plane} */
function blank(store, look, channel, [height, width], origin) {
  const plane = {
    space: look.space,
    tensor: look.name,
    channel,
    height,
    width,
    origin,
    texts: [],
    titles: [],
    steps: [],
    kinds: [],
    label: channel.length ? `${say(`say.${look.name}`)} ${channel.join(", ")}` : say(`say.${look.name}`),
    editable: look.name in EDITABLE,
    about: [store.state.operation, store.state.pass, channel, ...store.plan.weight, spoken()].join(),
    speak: (/** @type {number} */ cell) => String(cell),
  };
  plane.speak = (cell) => speech(store, /** @type {Plane} */ (plane), cell);
  return plane;
}

/** @param {Plane} plane @param {number} cell @param {number} value @param {Look} look @param {string} kind */
function put(plane, cell, value, look, kind) {
  plane.texts[cell] = look.text(value);
  plane.titles[cell] = exact(value);
  plane.steps[cell] = kind.startsWith("pad") ? 0 : stepOf(value, look.limit);
  plane.kinds[cell] = kind;
}

/** A number that is to be predicted is not told. @param {Store} store @param {Plane} plane */
function hideAsked({ state }, plane) {
  if (!state.ask || plane.tensor !== RESULTS[state.pass]) return;
  const lead = state.ask.slice(0, plane.channel.length);
  if (String(lead) !== String(plane.channel)) return;
  const [row, col] = plane.tensor === "grad_bias" ? [0, state.ask[0]] : state.ask.slice(-2);
  const cell = row * plane.width + col;
  plane.texts[cell] = "?";
  plane.titles[cell] = "";
  plane.steps[cell] = 0;
  plane.kinds[cell] = "asked";
}

/** What a screen reader says of a cell. @param {Store} store @param {Plane} plane @param {number} cell */
function speech(store, plane, cell) {
  const [row, column] = [
    Math.floor(cell / plane.width) + plane.origin[0] + 1,
    (cell % plane.width) + plane.origin[1] + 1,
  ];
  const kind = plane.kinds[cell];
  const value = kind === "asked" ? say("say.hidden") : plane.texts[cell];
  const place = say("say.cell", { name: plane.label, row: minus(row), column: minus(column), value });
  if (kind)
    return [
      place,
      ...kind
        .split(" ")
        .filter((word) => word !== "asked")
        .map((word) => say(word === "pad" ? "say.padding" : "say.unread")),
    ].join(", ");
  return plane.tensor === RESULTS[store.state.pass] ? withCount(store, place) : place;
}

/** @param {number} value */
const minus = (value) => String(value).replace("-", "−");

/** @param {Store} store @param {string} cell */
function withCount({ plan, state }, cell) {
  if (state.pass !== "forward" || plan.transposed || !plan.weighted) return cell;
  return say("say.sum", { cell, count: inWords(plan.fan * plan.rows.kernel * plan.cols.kernel) });
}
