// @ts-check
/** The one state of the page, and every way to change it. Listeners hear `change`; the address follows. */
import { arriving, flat, plan } from "../numerics/plan.js";
import { resultShape } from "../numerics/terms.js";
import { evaluate } from "../numerics/whole.js";
import { build, middle, passesOf, settingsFrom } from "../state/build.js";
import { check } from "../state/check.js";
import { format, parse } from "../state/fragment.js";
import { numbersOf, settingsOf } from "../state/presets.js";
import { speak, spoken } from "../show/words.js";
import { SPACES } from "./planes.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../state/check.js").Problem} Problem
 * @typedef {import("../state/build.js").Settings} Settings
 * @typedef {import("./lights.js").Target} Target
 */

const ADDRESS_DELAY = 200;

export class Store extends EventTarget {
  /** @type {Problem[]} */ problems = [];
  /** @type {Settings | null} */ draft = null;
  /** @type {Target | null} */ hover = null;
  /** @type {Target | null} */ pin = null;
  #timer = 0;

  /** @param {string} fragment */
  constructor(fragment) {
    super();
    this.state = this.#read(fragment);
    this.plan = plan(this.state);
    this.result = evaluate(this.state);
  }

  /** @param {string} fragment */
  #read(fragment) {
    const { state, lang, problems } = parse(fragment);
    this.problems = problems;
    this.draft = null;
    speak(lang ?? "en");
    return state;
  }

  #compute() {
    this.plan = plan(this.state);
    this.result = evaluate(this.state);
  }

  /** @param {"shape" | "numbers" | "selection" | "hover"} level */
  #tell(level) {
    this.dispatchEvent(new CustomEvent("change", { detail: level }));
    if (level === "hover") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.writeAddress(), ADDRESS_DELAY);
  }

  /** The address says the state; browsers bear few writes a second, so it waits a little. */
  writeAddress() {
    clearTimeout(this.#timer);
    if (this.problems.length) return;
    const fragment = this.fragment();
    if (fragment !== location.hash) history.replaceState(null, "", fragment);
  }

  fragment() {
    return format(this.state, spoken());
  }

  /** Follow an address. @param {string} fragment */
  follow(fragment) {
    this.state = this.#read(fragment);
    this.#fresh();
  }

  #fresh() {
    this.hover = this.pin = null;
    this.#compute();
    this.#tell("shape");
  }

  /** @param {string} name */
  choose(name) {
    this.state = build(settingsOf(name), numbersOf(name));
    this.problems = [];
    this.draft = null;
    this.#fresh();
  }

  /** Change arguments. What is refused stays a draft beside the last valid state. @param {Partial<Settings>} patch */
  change(patch) {
    const settings = { ...(this.draft ?? settingsFrom(this.state)), ...patch };
    const problem = check(settings);
    this.problems = problem ? [problem] : [];
    this.draft = problem ? settings : null;
    if (!problem) this.state = build(settings, this.state);
    this.#fresh();
  }

  /** Another pass, whose middle number is selected. @param {string} pass */
  turn(pass) {
    const at = middle(resultShape(this.plan, pass));
    this.change({ pass, at, ask: null });
  }

  nextPass() {
    const passes = passesOf(this.state, this.state.bias !== null);
    this.turn(passes[(passes.indexOf(this.state.pass) + 1) % passes.length]);
  }

  /** What an address had wrong is no longer told once the reader goes on. @param {"numbers" | "selection"} level
   * @returns {"shape" | "numbers" | "selection"} */
  #forgiven(level) {
    if (this.draft || !this.problems.length) return level;
    this.problems = [];
    return "shape";
  }

  /** @param {number[]} at */
  select(at) {
    this.state = { ...this.state, at };
    this.hover = this.pin = null;
    this.#tell(this.#forgiven("selection"));
  }

  /** @param {number[] | null} ask */
  ask(ask) {
    this.state = { ...this.state, ask };
    this.#tell("numbers");
  }

  /** @param {Target | null} target */
  point(target) {
    this.hover = target;
    this.#tell("hover");
  }

  /** @param {Target | null} target */
  hold(target) {
    this.pin = target;
    this.hover = null;
    this.#tell("hover");
  }

  /** @param {"x" | "weight" | "bias" | "grad_output"} name @param {number[]} index @param {number} value */
  edit(name, index, value) {
    const tensor = name === "grad_output" ? arriving(this.state, this.plan) : this.state[name];
    if (!tensor) return;
    const values = tensor.values.slice();
    values[flat(tensor.shape, index)] = value;
    this.state = { ...this.state, [name]: { shape: tensor.shape, values } };
    this.#compute();
    this.#tell(this.#forgiven("numbers"));
  }

  /** @param {string} lang */
  language(lang) {
    speak(lang);
    this.#tell("shape");
  }

  /** What the page lights: the pointer's number, else the pinned one, else the selected one. @returns {Target} */
  get target() {
    return this.hover ?? this.pin ?? { space: SPACES[this.state.pass], index: this.state.at };
  }

  /** The result whose sum is written out: the target if it is one, else the selected one. */
  get index() {
    const { space, index, padded } = this.target;
    return space === SPACES[this.state.pass] && !padded ? index : this.state.at;
  }
}
