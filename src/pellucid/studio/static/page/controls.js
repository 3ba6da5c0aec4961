// @ts-check
/** The form of all arguments: it writes into the store what a reader sets, and shows what the store holds. */
import { paddings } from "../numerics/axis.js";
import { passesOf, settingsFrom } from "../state/build.js";
import { say } from "../show/words.js";

/**
 * @typedef {import("./store.js").Store} Store
 * @typedef {import("../state/build.js").Settings} Settings
 */

const form = () => /** @type {HTMLFormElement} */ (document.getElementById("controls"));

/** @param {string} name @returns {any} */
const field = (name) => form().elements.namedItem(name);

/** Numbers that divide both. @param {number} a @param {number} b */
export const commonDivisors = (a, b) =>
  Array.from({ length: Math.min(a, b) }, (_, less) => less + 1).filter((part) => a % part === 0 && b % part === 0);

/** @param {Store} store */
export function listenToControls(store) {
  form().addEventListener("input", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (input.type === "number" && !Number.isFinite(input.valueAsNumber)) return;
    const settings = store.draft ?? settingsFrom(store.state);
    store.change(patchOf(settings, input));
  });
  form().addEventListener("submit", (event) => event.preventDefault());
  form().addEventListener("focusout", () => drawControls(store));
  document
    .getElementById("pass")
    ?.addEventListener("input", (event) => store.turn(/** @type {HTMLInputElement} */ (event.target).value));
}

/** What one field changes. @param {Settings} settings @param {HTMLInputElement} input @returns {Partial<Settings>} */
function patchOf(settings, input) {
  const [name, side] = input.name.split(".");
  if (input.type === "checkbox") return { [name]: input.checked };
  if (name === "operation") return forOperation(settings, input.value);
  if (name === "padding_mode") return { padding_mode: input.value };
  if (name === "groups") return { groups: divisorsOf(settings)[input.valueAsNumber] };
  if (input.name === "padding.word") return { padding: wordOrNumbers(settings, input.value) };
  if (side === undefined) return withGroups(settings, { [name]: input.valueAsNumber });
  const pair = [.../** @type {number[]} */ (numbersNow(settings, name))];
  pair[Number(side)] = input.valueAsNumber;
  return { [name]: pair };
}

/** @param {Settings} settings @param {string} name @returns {number[]} */
function numbersNow(settings, name) {
  const value = /** @type {any} */ (settings)[name];
  return Array.isArray(value) ? value : [0, 0];
}

/** @param {Settings} settings */
const divisorsOf = ({ in_channels, out_channels }) => commonDivisors(in_channels, out_channels);

/** Another number of channels, with the largest number of groups that still divides it.
 * @param {Settings} settings @param {Partial<Settings>} patch @returns {Partial<Settings>} */
function withGroups(settings, patch) {
  const next = { ...settings, ...patch };
  const groups =
    divisorsOf(next)
      .filter((part) => part <= settings.groups)
      .at(-1) ?? 1;
  return { ...patch, groups };
}

/** The padding in numbers that a word stands for. @param {Settings} s @returns {number[]} */
const inNumbers = (s) =>
  [0, 1].map((side) => {
    const given = typeof s.padding === "string" ? s.padding : s.padding[side];
    return paddings(given, s.dilation[side] * (s.kernel_size[side] - 1))[0];
  });

/** @param {Settings} settings @param {string} word @returns {Settings["padding"]} */
const wordOrNumbers = (settings, word) => (word === "same" || word === "valid" ? word : inNumbers(settings));

/** Another operation, its padding brought into what it allows. @param {Settings} s @param {string} operation
 * @returns {Partial<Settings>} */
function forOperation(s, operation) {
  const pool = operation.endsWith("pool2d");
  const most = (/** @type {0 | 1} */ side) => (pool ? Math.floor(s.kernel_size[side] / 2) : Infinity);
  const padding =
    operation === "conv2d"
      ? s.padding
      : inNumbers(s).map((pad, side) => Math.min(pad, most(/** @type {0 | 1} */ (side))));
  const mode = operation === "conv2d" ? {} : { padding_mode: "zeros" };
  return { operation, padding, ...mode, output_padding: [0, 0], ask: null };
}

/** @param {Store} store */
export function drawControls(store) {
  const s = store.draft ?? settingsFrom(store.state);
  for (const element of form().elements) setField(/** @type {HTMLInputElement} */ (element), s);
  drawGroups(s);
  for (const box of /** @type {NodeListOf<HTMLElement>} */ (form().querySelectorAll("[data-for]"))) {
    box.hidden = !box.dataset.for?.split(" ").includes(s.operation);
  }
  const wrong = new Set(store.problems.map((problem) => problem.argument));
  for (const box of /** @type {NodeListOf<HTMLElement>} */ (form().querySelectorAll("[data-argument]"))) {
    const invalid = String(wrong.has(box.dataset.argument ?? ""));
    for (const input of box.querySelectorAll("input, select")) input.setAttribute("aria-invalid", invalid);
  }
  drawPasses(store);
}

/** @param {HTMLInputElement} element @param {Settings} s */
function setField(element, s) {
  const [name, side] = element.name.split(".");
  if (!(name in s) || name === "groups") return;
  const value = /** @type {any} */ (s)[name];
  if (element.name === "padding.word") return setText(element, typeof value === "string" ? value : "numbers");
  if (element.type === "checkbox") {
    element.checked = value;
    return;
  }
  const shown =
    side === undefined
      ? value
      : numbersNow(name === "padding" ? { ...s, padding: inNumbers(s) } : s, name)[Number(side)];
  if (name === "padding") element.disabled = typeof value === "string";
  setText(element, String(shown));
}

/** @param {HTMLInputElement} element @param {string} text */
function setText(element, text) {
  if (element.value !== text) element.value = text;
}

/** @param {Settings} s */
function drawGroups(s) {
  const divisors = divisorsOf(s);
  const slider = field("groups");
  slider.max = String(divisors.length - 1);
  slider.disabled = divisors.length < 2;
  const place = divisors.indexOf(s.groups);
  slider.value = String(Math.max(0, place));
  const kind = s.groups === 1 ? "groups.standard" : s.groups === s.in_channels ? "groups.depthwise" : "";
  const text = `${s.groups}${kind ? ` · ${say(kind)}` : ""}`;
  slider.setAttribute("aria-valuetext", text);
  field("groups.shown").value = text;
}

/** @param {Store} store */
function drawPasses({ state }) {
  const passes = passesOf(state, state.bias !== null);
  for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#pass input"))) {
    input.checked = input.value === state.pass;
    input.disabled = !passes.includes(input.value);
    input.closest("label")?.classList.toggle("off", input.disabled);
  }
}
