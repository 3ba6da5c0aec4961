// @ts-check
/** Predict, then reveal: one number is hidden, the reader types it, the page says whether it is right. */
import { resultTensor, valueAt } from "../numerics/terms.js";
import { decimalsFor, numeral, typed } from "../show/numerals.js";
import { say } from "../show/words.js";
import { nameOf } from "./captions.js";
import { RESULTS } from "./planes.js";

/** @typedef {import("./store.js").Store} Store */

const form = () => /** @type {HTMLFormElement} */ (document.getElementById("predict"));
const verdict = () => /** @type {HTMLElement} */ (document.getElementById("verdict"));

/** @param {Store} store */
export function togglePredict(store) {
  verdict().textContent = "";
  store.ask(store.state.ask ? null : store.state.at);
  if (store.state.ask) form().querySelector("input")?.focus();
}

/** @param {Store} store */
export function listenToGuesses(store) {
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (form().elements.namedItem("guess"));
    judge(store, input);
  });
}

/** @param {Store} store @param {HTMLInputElement} input */
function judge(store, input) {
  const { state, result } = store;
  const guess = typed(input.value);
  if (!state.ask || input.value.trim() === "") return;
  if (guess === null) {
    verdict().textContent = say("predict.number", { value: input.value });
    return;
  }
  const value = valueAt(resultTensor(result, state.pass), state.ask);
  const right = Math.abs(guess - value) <= 0.5 * 10 ** -decimalsFor([value]) + 1e-9;
  verdict().textContent = say(right ? "predict.right" : "predict.wrong", { value: numeral(guess) });
  input.value = "";
  if (right) store.ask(null);
}

/** @param {Store} store */
export function drawPredict({ state }) {
  const button = /** @type {HTMLElement} */ (document.getElementById("ask"));
  button.textContent = say(state.ask ? "predict.stop" : "predict");
  button.setAttribute("aria-pressed", String(state.ask !== null));
  form().hidden = state.ask === null;
  const question = /** @type {HTMLElement} */ (document.getElementById("question"));
  if (state.ask) question.textContent = say("predict.ask", { name: nameOf(RESULTS[state.pass], state.ask) });
}
