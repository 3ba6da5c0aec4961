// @ts-check
/** Stepping by itself, to the last number. */
import { count, flat, unflat } from "../numerics/plan.js";
import { resultShape } from "../numerics/terms.js";
import { say } from "../show/words.js";

/** @typedef {import("./store.js").Store} Store */

const PACE = 650;
let timer = 0;

/** @param {Store} store */
export function togglePlay(store) {
  if (timer) return stop();
  timer = setInterval(() => advance(store), PACE);
  advance(store, true);
  draw();
}

export function stop() {
  clearInterval(timer);
  timer = 0;
  draw();
}

/** @param {Store} store @param {boolean} [again] begin anew at the end */
function advance(store, again = false) {
  const shape = resultShape(store.plan, store.state.pass);
  const place = flat(shape, store.state.at) + 1;
  if (place >= count(shape) && !again) return stop();
  store.select(unflat(shape, place % count(shape)));
}

/** The button says what it would do. */
export function draw() {
  const button = /** @type {HTMLElement} */ (document.getElementById("play"));
  button.setAttribute("aria-pressed", String(timer !== 0));
  button.textContent = say(timer ? "pause" : "play");
}
