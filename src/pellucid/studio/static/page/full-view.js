// @ts-check
/** The picture of the full convolution: stretched and padded small side, filter turned by 180°, the same number. */
import { hasFull, stretched, turned } from "../numerics/full.js";
import { arriving } from "../numerics/plan.js";
import { limitOf, stepOf } from "../show/colour.js";
import { decimalsFor, exact, numeral } from "../show/numerals.js";
import { say } from "../show/words.js";
import { NumberGrid } from "./number-grid.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./number-grid.js").Plane} Plane
 */

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Whether this pass is a full convolution of its small side. @param {Store} store */
const applies = ({ plan, state }) => hasFull(plan) && state.pass === (plan.transposed ? "forward" : "x");

/** @param {Store} store */
export function drawFull(store) {
  const box = byId("full");
  box.hidden = !applies(store);
  if (box.hidden) return;
  const { plan } = store;
  const zeros = say("full.zeros", { rows: plan.rows.stride - 1, cols: plan.cols.stride - 1 });
  const plain = plan.rows.stride === 1 && plan.cols.stride === 1;
  byId("full-says").textContent = say(`${plan.transposed ? "full.forward" : "full"}${plain ? ".plain" : ""}`, {
    zeros,
  });
  byId("full-left").textContent =
    `${say(plan.transposed ? "x" : "grad_y")}, ${say(plain ? "full.padded" : "full.stretched")}`;
  byId("full-right").textContent = say("full.turned");
  const [b, r, q] = store.index;
  const members = plan.small[0] / plan.groups;
  const channels = Array.from({ length: members }, (_, s) => Math.floor(b / plan.fan) * members + s);
  const pairs = fit(byId("full-cards"), members);
  let chars = 1;
  channels.forEach((s, place) => {
    const [left, right] = pairs[place];
    const planes = [stretchedPlane(store, s), turnedPlane(store, s, b)];
    left.paint(planes[0]);
    right.paint(planes[1]);
    chars = Math.max(chars, ...planes.flatMap((plane) => plane.texts.map((text) => text.length)));
    lightWindow(left, right, store, r, q);
  });
  box.style.setProperty("--chars", String(chars));
  box.dataset.size = byId("stage").dataset.size === "large" && members === 1 ? "medium" : "small";
}

/** @param {HTMLElement} box @param {number} members @returns {NumberGrid[][]} */
function fit(box, members) {
  while (box.children.length > members) box.lastElementChild?.remove();
  while (box.children.length < members) {
    const row = document.createElement("div");
    const sign = document.createElement("span");
    row.className = "pair";
    sign.className = "sign";
    sign.textContent = "⊛";
    row.append(new NumberGrid(), sign, new NumberGrid());
    box.append(row);
  }
  return [...box.children].map((row) => /** @type {NumberGrid[]} */ ([...row.querySelectorAll("number-grid")]));
}

/** @param {string} label @param {number} height @param {number} width @param {number[]} shown @param {number[]} all
 * @param {(cell: number) => string} kind @returns {Plane} */
function planeOf(label, height, width, shown, all, kind) {
  const [decimals, limit] = [decimalsFor(all), limitOf(all)];
  const kinds = shown.map((_, cell) => kind(cell));
  const texts = shown.map((value) => numeral(value, decimals));
  return {
    space: "full",
    tensor: "full",
    channel: [],
    height,
    width,
    origin: [0, 0],
    texts,
    titles: shown.map(exact),
    steps: shown.map((value, cell) => (kinds[cell] ? 0 : stepOf(value, limit))),
    kinds,
    label,
    editable: false,
    about: label,
    speak: (cell) =>
      say("say.cell", {
        name: label,
        row: Math.floor(cell / width) + 1,
        column: (cell % width) + 1,
        value: texts[cell],
      }),
  };
}

/** @param {Store} store @param {number} s */
function stretchedPlane({ plan, state }, s) {
  const small = plan.transposed ? state.x.values : arriving(state, plan).values;
  const side = stretched(plan, small, s);
  const cells = Array.from({ length: side.rows * side.cols }, (_, cell) => [
    Math.floor(cell / side.cols),
    cell % side.cols,
  ]);
  const values = cells.map(([row, col]) => side.value(row, col));
  return planeOf(byId("full-left").textContent ?? "", side.rows, side.cols, values, small, (cell) =>
    side.real(cells[cell][0], cells[cell][1]) ? "" : "pad",
  );
}

/** @param {Store} store @param {number} s @param {number} b */
function turnedPlane({ plan, state }, s, b) {
  const values = turned(plan, state.weight.values, s, b).flat();
  return planeOf(
    byId("full-right").textContent ?? "",
    plan.rows.kernel,
    plan.cols.kernel,
    values,
    state.weight.values,
    () => "",
  );
}

/** @param {NumberGrid} left @param {NumberGrid} right @param {Store} store @param {number} r @param {number} q */
function lightWindow(left, right, { plan }, r, q) {
  const { rows, cols } = plan;
  /** @type {Map<number, string>} */
  const taps = new Map();
  for (let u = 0; u < rows.kernel; u++) {
    for (let v = 0; v < cols.kernel; v++) taps.set(left.cellAt(r + u * rows.dilation, q + v * cols.dilation), "tap");
  }
  left.light(taps, [r, q, r + rows.span + 1, q + cols.span + 1]);
  right.light(new Map(), [0, 0, rows.kernel, cols.kernel]);
}
