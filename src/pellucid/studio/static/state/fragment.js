// @ts-check
/**
 * The state in the address, after `#`: what differs from the preset, as `key=value` joined by `&`.
 *
 *   fragment = pair *( "&" pair )                 #preset=conv-3x3&stride=2&at=0,1,1&x=1,2/3,4;5,6/7,8
 *   words    preset operation pass padding_mode lang
 *   number   in_channels out_channels groups
 *   pair     size kernel_size stride padding dilation output_padding      "2" is "2,2"; padding also same | valid
 *   flag     ceil_mode count_include_pad flip                             true | false
 *   index    at ask            channel,row,column; with pass=weight out,in,row,column; with pass=bias channel
 *   text     from channels    of a number of a network: its name, the channels that are drawn
 *   real     network rest more                its own value; what channels that are left out give, and how many
 *   grid     x weight bias grad_output           numbers by ",", rows by "/", channels (kernels) by ";"; bias=none
 */
import { plan } from "../numerics/plan.js";
import { resultShape } from "../numerics/terms.js";
import { build, middle, passesOf, settingsFrom } from "./build.js";
import { check } from "./check.js";
import { FLAGS, GRIDS, gridText, KEYS, Malformed, pairText, read, REALS, TEXTS, WORDS } from "./grammar.js";
import { numbersOf, PRESETS, settingsOf } from "./presets.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("./check.js").Problem} Problem
 * @typedef {import("./build.js").Settings} Settings
 * @typedef {import("./presets.js").Numbers} Numbers
 */

/** @param {string} text */
function plainText(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** The pairs of a fragment, and what could not be read. @param {string} fragment */
function pairsOf(fragment) {
  /** @type {Record<string, any>} */
  const given = {};
  /** @type {Problem[]} */
  const problems = [];
  for (const part of fragment.replace(/^#/, "").split("&").filter(Boolean)) {
    const [argument, ...rest] = part.split("=").map(plainText);
    try {
      given[argument] = read(argument, rest.join("="));
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      delete given[argument];
      problems.push(unreadable(argument, rest.join("=")));
    }
  }
  return { given, problems };
}

/** @param {string} argument @param {string} value @returns {Problem} */
function unreadable(argument, value) {
  const short = { argument: argument.slice(0, 40), value: value.slice(0, 60) };
  if (!KEYS.includes(argument)) return { argument, key: "error.unknown", values: { ...short, known: KEYS.join(", ") } };
  if (!(argument in WORDS)) return { argument, key: "error.malformed", values: short };
  return { argument, key: "error.word_of", values: { ...short, allowed: WORDS[argument].join(", ") } };
}

/** The state of an address. What cannot be read or meant leaves the preset's own value and is told.
 * @param {string} fragment @returns {{state: State, lang: string | null, problems: Problem[]}} */
export function parse(fragment) {
  const { given, problems } = pairsOf(fragment);
  const { lang = null, x, weight, bias, grad_output, ...set } = given;
  const name = set.preset ?? PRESETS[0].name;
  const base = settingsOf(name);
  const moved = "pass" in set && set.pass !== base.pass ? { at: null } : {};
  const wanted = { ...base, ...moved, ...set, ...(bias === undefined ? {} : { bias: bias !== null }) };
  const fault = check(wanted);
  if (fault) return { state: build(base, numbersOf(name)), lang, problems: [...problems, fault] };
  const draft = build(wanted, numbersOf(name));
  const { state, told } = withGrids(draft, { x, weight, bias, grad_output });
  return { state, lang, problems: [...problems, ...told, ...wrongPass(state, set), ...outside(state, set)] };
}

/** @param {State} draft @param {Record<string, number[] | null | undefined>} grids */
function withGrids(draft, grids) {
  const p = plan(draft);
  const shapes = { x: p.input, weight: p.weight, bias: [p.output[0]], grad_output: p.output };
  const state = { ...draft };
  /** @type {Problem[]} */
  const told = [];
  for (const argument of GRIDS) {
    const values = grids[argument];
    if (!values) continue;
    const shape = shapes[argument];
    const needed = shape.length ? shape.reduce((a, b) => a * b, 1) : 0;
    if (values.length === needed) Object.assign(state, { [argument]: { shape, values } });
    else
      told.push({
        argument,
        key: "error.count",
        values: { argument, value: values.length, needed, shape: shape.join(" × ") },
      });
  }
  return { state, told };
}

/** @param {State} state @param {Record<string, any>} set @returns {Problem[]} */
function wrongPass(state, { pass: value }) {
  if (!value || value === state.pass) return [];
  const allowed = passesOf(state, state.bias !== null).join(", ");
  return [{ argument: "pass", key: "error.pass", values: { value, operation: state.operation, allowed } }];
}

/** @param {State} state @param {Record<string, any>} set @returns {Problem[]} */
function outside(state, set) {
  const shape = resultShape(plan(state), state.pass);
  const fits = (/** @type {number[]} */ index) =>
    index.length === shape.length && index.every((part, axis) => part >= 0 && part < shape[axis]);
  return ["at", "ask"]
    .filter((argument) => set[argument] && !fits(set[argument]))
    .map((argument) => ({
      argument,
      key: "error.index",
      values: { argument, value: set[argument].join(","), shape: shape.join(" × ") },
    }));
}

const SETTINGS = /** @type {const} */ ([
  "operation",
  "pass",
  "in_channels",
  "out_channels",
  "size",
  "kernel_size",
  "stride",
  "padding",
  "dilation",
  "groups",
  "output_padding",
  "padding_mode",
  ...FLAGS,
]);

/** Whether this is another layer, or are other numbers, than the preset's. @param {State} state */
export const isChanged = (state) =>
  format(state, "en")
    .slice(1)
    .split("&")
    .some((part) => !/^(preset|pass|at|ask)=/.test(part));

/** The shortest fragment that gives this state again. @param {State} state @param {string} lang */
export function format(state, lang) {
  const numbers = numbersOf(state.preset);
  const first = build(settingsOf(state.preset), numbers);
  const [now, then] = [settingsFrom(state), settingsFrom(first)];
  const parts = SETTINGS.filter((key) => String(now[key]) !== String(then[key])).map(
    (key) => `${key}=${pairText(now[key])}`,
  );
  const fresh = build(now, numbers);
  for (const key of GRIDS) {
    const [mine, plain] = [state[key], fresh[key]];
    if (mine && (String(mine.values) !== String(plain?.values) || (key === "bias" && !first.bias))) {
      parts.push(`${key}=${gridText(mine)}`);
    }
  }
  if (!state.bias && first.bias) parts.push("bias=none");
  const home = state.pass === first.pass ? first.at : middle(resultShape(plan(state), state.pass));
  if (String(state.at) !== String(home)) parts.push(`at=${state.at}`);
  for (const key of [...TEXTS, ...REALS]) {
    if (state[key] !== null) parts.push(`${key}=${encodeURIComponent(String(state[key]))}`);
  }
  if (state.ask) parts.push(`ask=${state.ask}`);
  if (lang !== "en") parts.push(`lang=${lang}`);
  return `#${[`preset=${state.preset}`, ...parts].join("&")}`;
}
