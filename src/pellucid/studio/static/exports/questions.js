// @ts-check
/** Six questions about a state, drawn by a seed, with answers and the sums behind them. */
import { count, linksOfInput, outputOf, plan, resultShape, sumAt, unflat } from "../numerics.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {import("../numerics/terms.js").Sum} Sum
 * @typedef {{kind: string, values: Record<string, string>, index: number[], answer: number | number[], sum: Sum | null,
 *   pass: State["pass"]}} Question
 * @typedef {() => number} Random  from 0 to below 1
 * @typedef {(state: State, p: Plan, random: Random) => Question | null} Maker
 */

const AMOUNT = 6;
const MORE = 30;
const KINDS = /** @type {Record<string, string[]>} */ ({
  weighted: ["size", "size_other", "parameters", "value", "term", "grad_x", "grad_weight", "grad_bias", "fan_out"],
  pool: ["size", "size_other", "value", "value", "grad_x", "fan_out"],
  relu: ["parameters", "value", "value", "zero_outputs", "grad_x", "grad_x"],
});

/** Mulberry32: the same numbers for the same seed in every browser. @param {number} seed @returns {Random} */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @param {State} state @param {number} seed @returns {Question[]} */
export function questions(state, seed) {
  const p = plan(state);
  const random = generator(seed);
  const kinds = KINDS[p.weighted ? "weighted" : state.operation === "relu" ? "relu" : "pool"];
  /** @type {Question[]} */
  const found = [];
  const ask = (/** @type {string} */ kind) => {
    const made = MAKERS[kind](state, p, random);
    if (made && !found.some((other) => same(made, other))) found.push(made);
  };
  kinds.forEach(ask);
  for (let tries = 0; tries < MORE && found.length < AMOUNT; tries++) ask(kinds[kinds.length - 1 - (tries % 3)]);
  while (found.length > AMOUNT) {
    const place = Math.floor(random() * found.length);
    if (found[place].kind !== "value") found.splice(place, 1);
  }
  return found;
}

/** @param {Question} one @param {Question} other */
const same = (one, other) => one.kind === other.kind && String(one.index) === String(other.index);

/** @param {string} kind @param {number | number[]} answer @param {Partial<Question>} [more] @returns {Question} */
const question = (kind, answer, more = {}) => ({ kind, values: {}, index: [], answer, sum: null, pass: "forward", ...more });

/** @param {number[]} shape @param {Random} random */
const anywhere = (shape, random) => unflat(shape, Math.floor(random() * count(shape)));

/** @param {number[]} index */
const shown = (index) => index.join(", ");

/** One number of the tensor that a pass gives; one that is not 0, if a few tries find it.
 * @param {string} kind @param {State["pass"]} pass @returns {Maker} */
const entry = (kind, pass) => (state, p, random) => {
  let index = anywhere(resultShape(p, pass), random);
  for (let tries = 0; tries < 8 && !answerAt(p, state, index, pass); tries++) index = anywhere(resultShape(p, pass), random);
  const answer = answerAt(p, state, index, pass);
  const sum = answer === -Infinity ? null : sumAt(p, state, index, pass);
  return question(kind, answer, { index, sum, pass, values: { index: shown(index) } });
};

/** The sum of the terms; a window of pads alone has no largest number. @param {Plan} p @param {State} state
 * @param {number[]} index @param {State["pass"]} pass */
function answerAt(p, state, index, pass) {
  const { terms, total } = sumAt(p, state, index, pass);
  const empty = p.operation === "max_pool2d" && pass === "forward" && terms.every(({ link }) => (link?.big ?? 0) < 0);
  return empty ? -Infinity : total;
}

/** The shape after one argument has changed. @type {Maker} */
function otherSize(state, p, random) {
  const step = Math.max(...state.stride) + 1 + Math.floor(random() * 2);
  /** @type {[string, Partial<State>, Record<string, string>][]} */
  const changes = [
    ["size_other", { stride: [step, step] }, { stride: String(step) }],
    ["size_dilated", { dilation: [2, 2], padding: [0, 0] }, { dilation: "2" }],
  ];
  const [kind, change, values] = changes[state.padding === "same" ? 1 : 0];
  const other = plan({ ...state, ...change });
  return other.output.every((size) => size > 0) ? question(kind, other.output, { values }) : null;
}

/** How much one weight adds to one output. @type {Maker} */
function oneTerm(state, p, random) {
  const index = anywhere(p.output, random);
  const sum = sumAt(p, state, index, "forward");
  const terms = sum.terms.filter(({ link, product }) => link && product !== 0);
  if (!terms.length) return null;
  const { link, product } = terms[Math.floor(random() * terms.length)];
  const weight = unflat(p.weight, link?.weight ?? 0);
  return question("term", product, { index: [...index, ...weight], values: { index: shown(index), weight: shown(weight) } });
}

/** @type {Maker} */
function fanOut(_, p, random) {
  const index = anywhere(p.input, random);
  const outputs = linksOfInput(p, index).map((link) => outputOf(p, link));
  return question("fan_out", new Set(outputs.filter((output) => output >= 0)).size, { index, values: { index: shown(index) } });
}

/** @type {Record<string, Maker>} */
const MAKERS = {
  size: (_, p) => question("size", p.output),
  size_other: otherSize,
  parameters: (state, p) => question("parameters", p.weighted ? count(p.weight) + (state.bias ? p.output[0] : 0) : 0),
  value: entry("value", "forward"),
  term: oneTerm,
  grad_x: entry("grad_x", "x"),
  grad_weight: entry("grad_weight", "weight"),
  grad_bias: (state, p, random) => (state.bias ? entry("grad_bias", "bias")(state, p, random) : null),
  fan_out: fanOut,
  zero_outputs: (state) => question("zero_outputs", state.x.values.filter((value) => value <= 0).length),
};
