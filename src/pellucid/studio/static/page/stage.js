// @ts-check
/** The three places and their cards: input left, filter in the middle, output right, whatever the pass. */
import { say } from "../show/words.js";
import { kernelsOf, lightsOf } from "./lights.js";
import { NumberGrid } from "./number-grid.js";
import { lookOf, paddedPlane, plainPlane, RESULTS, roles, SPACES } from "./planes.js";
import { captionOf, signsOf } from "./captions.js";
import { columnsOf, sizeOf } from "./layout.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("./planes.js").Role} Role
 * @typedef {import("./planes.js").Look} Look
 * @typedef {import("./lights.js").Lit} Lit
 * @typedef {{channel: number[], group: number}} Card
 */

const PLACES = ["left", "middle", "right"];

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** Draw everything that a change touched. @param {Store} store @param {string} level */
export function drawStage(store, level) {
  const shown = roles(store.plan, store.state.pass);
  const stage = byId("stage");
  if (level === "shape") arrange(store, stage, shown);
  for (const role of shown) {
    const kernels = role.space === "weight";
    if (level === "shape" || level === "numbers" || kernels) drawCards(store, role);
  }
  if (level === "shape" || level === "numbers") drawBias(store);
  light(store);
  if (level !== "hover") reveal();
}

/** Where cards are scrolled, the selected number's card comes into view. */
function reveal() {
  for (const td of document.querySelectorAll('#stage td:is([data-lit="now"], [data-lit="at"])')) {
    const [box, figure] = [td.closest(".cards"), td.closest("figure")];
    if (!box || !figure || box.querySelectorAll("figure").length < 2) continue;
    const [outer, inner] = [box.getBoundingClientRect(), figure.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) box.scrollTop += inner.top - outer.top - 8;
  }
}

/** @param {Store} store @param {HTMLElement} stage @param {Role[]} shown */
function arrange(store, stage, shown) {
  stage.dataset.size = sizeOf(store.plan, shown);
  const signs = signsOf(store);
  for (const place of PLACES) {
    const role = shown.find((one) => one.place === place);
    byId(place).hidden = !role;
    byId(place).classList.toggle("result", role?.tensor === RESULTS[store.state.pass]);
    if (!role) continue;
    byId(`${place}-name`).textContent = say(role.tensor);
    byId(`${place}-shape`).textContent = captionOf(store, role.tensor);
  }
  byId("first-sign").textContent = signs[0];
  byId("second-sign").textContent = signs[1];
  byId("first-sign").hidden = byId("left").hidden || !signs[0];
  byId("second-sign").hidden = !signs[1];
}

/** @param {Store} store @param {Role} role @returns {Card[]} */
function cardsOf(store, role) {
  const { plan } = store;
  if (role.space === "bias") return [{ channel: [], group: 0 }];
  if (role.space === "weight") {
    return kernelsOf(plan, SPACES[store.state.pass], store.index).map((channel) => ({ channel, group: 0 }));
  }
  const [channels] = role.space === "input" ? plan.input : plan.output;
  const groups = plan.weighted ? plan.groups : 1;
  return Array.from({ length: channels }, (_, c) => ({ channel: [c], group: Math.floor(c / (channels / groups)) }));
}

/** @param {Store} store @param {Role} role */
function drawCards(store, role) {
  const cards = cardsOf(store, role);
  const box = byId(`${role.place}-cards`);
  const grids = fitCards(box, cards);
  const look = lookOf(store, role.tensor, role.space);
  let chars = 0;
  box.style.setProperty(
    "--columns",
    String(columnsOf(store.plan, role.space, cards.filter((card) => card.group === 0).length)),
  );
  cards.forEach((card, place) => {
    const plane =
      role.tensor === "x" && !store.plan.transposed
        ? paddedPlane(store, look, card.channel[0])
        : plainPlane(store, look, card.channel);
    grids[place].paint(plane);
    label(grids[place], card, cards.length);
    chars = Math.max(chars, ...plane.texts.map((text) => text.length));
  });
  byId(role.place).style.setProperty("--chars", String(chars));
}

/** The grids of a place, as many as there are cards, in boxes by group. @param {HTMLElement} box
 * @param {Card[]} cards */
function fitCards(box, cards) {
  const shape = cards.map((card) => card.group).join();
  if (box.dataset.shape !== shape) {
    box.dataset.shape = shape;
    const groups = [...new Set(cards.map((card) => card.group))];
    box.replaceChildren(...groups.map((group) => groupBox(cards, group, groups.length > 1)));
  }
  return /** @type {NumberGrid[]} */ ([...box.querySelectorAll("number-grid")]);
}

/** @param {Card[]} cards @param {number} group @param {boolean} several */
function groupBox(cards, group, several) {
  const box = document.createElement("div");
  box.className = "group";
  if (several) box.dataset.group = say("group", { group });
  for (const card of cards) if (card.group === group) box.append(document.createElement("figure"));
  for (const figure of box.children) figure.append(document.createElement("figcaption"), new NumberGrid());
  return box;
}

/** @param {NumberGrid} grid @param {Card} card @param {number} cards */
function label(grid, card, cards) {
  const caption = /** @type {HTMLElement} */ (grid.previousElementSibling);
  const alone = caption.closest(".group")?.children.length === 1;
  const text = cards > 1 && !(alone && card.channel.length === 1) ? card.channel.join(", ") : "";
  if (caption.textContent !== text) caption.textContent = text;
}

/** @param {Store} store */
function drawBias(store) {
  const { state } = store;
  const box = byId("bias");
  box.hidden = !(state.bias && state.pass === "forward");
  if (box.hidden) return;
  const grid = /** @type {NumberGrid} */ (box.querySelector("number-grid"));
  const plane = plainPlane(store, lookOf(store, "bias", "bias"), []);
  grid.paint(plane);
  box.style.setProperty("--chars", String(Math.max(...plane.texts.map((text) => text.length))));
}

/** Light what the target is joined to, in every grid of its space. @param {Store} store */
export function light(store) {
  const lights = lightsOf(store.plan, store.target);
  if (store.target.space === "output" && store.state.bias && store.state.pass === "forward") {
    lights.push({ space: "bias", index: [store.target.index[0]], kind: "tap" });
  }
  const selected = { space: SPACES[store.state.pass], index: store.state.at };
  for (const grid of document.querySelectorAll("#stage number-grid")) {
    lightGrid(/** @type {NumberGrid} */ (grid), lights, selected);
  }
}

/** @param {NumberGrid} grid @param {Lit[]} lights @param {{space: string, index: number[]}} selected */
function lightGrid(grid, lights, selected) {
  if (!grid.plane || grid.closest("[hidden]")) return;
  /** @type {Map<number, string>} */
  const wanted = new Map();
  for (const { space, index, kind } of lights) {
    const cell = space === grid.plane.space ? cellOf(grid, index) : -1;
    if (cell >= 0) wanted.set(cell, kind);
  }
  const framed = boxOf(
    grid.plane.width,
    [...wanted].filter(([, kind]) => kind !== "now").map(([cell]) => cell),
  );
  const own = selected.space === grid.plane.space ? cellOf(grid, selected.index) : -1;
  if (own >= 0 && !wanted.has(own)) wanted.set(own, "at");
  grid.light(wanted, framed);
  grid.rove(own >= 0 ? own : 0);
}

/** @param {NumberGrid} grid @param {number[]} index */
export function cellOf(grid, index) {
  const { channel, space } = /** @type {import("./number-grid.js").Plane} */ (grid.plane);
  if (space === "bias") return grid.cellAt(0, index[0]);
  return channel.every((part, axis) => part === index[axis]) ? grid.cellAt(index.at(-2) ?? 0, index.at(-1) ?? 0) : -1;
}

/** @param {number} width @param {number[]} cells @returns {[number, number, number, number] | null} */
function boxOf(width, cells) {
  if (!cells.length) return null;
  const rows = cells.map((cell) => Math.floor(cell / width));
  const cols = cells.map((cell) => cell % width);
  return [Math.min(...rows), Math.min(...cols), Math.max(...rows) + 1, Math.max(...cols) + 1];
}
