// @ts-check
/** The tensors of a state as matrices, and the selected number's equation with its numbers filled in. */
import { arriving, plan, resultTensor, sumAt, valueAt } from "../numerics.js";
import { decimalsFor, numeral } from "../show/numerals.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("../numerics/terms.js").Sum} Sum
 * @typedef {import("../numerics/whole.js").Result} Result
 */

/** Columns of a matrix that amsmath allows unless told otherwise. */
const USUAL_COLUMNS = 10;
const TERMS_A_LINE = 6;
const NAMES = /** @type {Record<string, string>} */ ({
  forward: "Y", x: "\\frac{\\partial L}{\\partial X}", weight: "\\frac{\\partial L}{\\partial W}",
  bias: "\\frac{\\partial L}{\\partial b}",
});
const ARRIVING = "\\frac{\\partial L}{\\partial Y}";

/** @param {State} state @param {Result} result @returns {string} */
export function latex(state, result) {
  const p = plan(state);
  const shown = named(state, p, result);
  const widest = Math.max(...shown.map(([, tensor]) => tensor.shape.at(-1) ?? 1));
  const wide = widest > USUAL_COLUMNS ? [`\\setcounter{MaxMatrixCols}{${widest}}`] : [];
  const matrices = shown.flatMap(([name, tensor]) => planes(name, tensor));
  return [
    `% ${summary(state)}`,
    "% in the preamble: \\usepackage{amsmath}",
    ...wide,
    "\\begin{gather*}",
    matrices.join(" \\\\\n"),
    "\\end{gather*}",
    "\\begin{align*}",
    equation(state, p, result),
    "\\end{align*}",
    "",
  ].join("\n");
}

/** @param {State} state */
function summary({ operation, kernel_size, stride, padding, dilation, groups, pass, flip }) {
  const size = [`kernel ${kernel_size}`, `stride ${stride}`, `padding ${padding}`, `dilation ${dilation}`, `groups ${groups}`, ...(flip ? ["filter turned by 180 degrees"] : [])];
  return [operation.replace(/_/g, " "), ...(operation === "relu" ? [] : size), `pass ${pass}`].join("; ");
}

/** The tensors that the equation speaks of, the result last. @param {State} state @param {Plan} p @param {Result} result
 * @returns {[string, Tensor][]} */
function named(state, p, result) {
  /** @type {[string, Tensor][]} */
  const found = state.pass === "bias" || (state.pass === "x" && p.weighted) ? [] : [["X", state.x]];
  if (p.weighted && (state.pass === "forward" || state.pass === "x")) found.push(["W", state.weight]);
  if (p.weighted && state.pass === "forward" && state.bias?.values.some(Boolean)) found.push(["b", state.bias]);
  if (state.pass !== "forward") found.push([ARRIVING, arriving(state, p)]);
  return [...found, [NAMES[state.pass], resultTensor(result, state.pass)]];
}

/** One matrix a plane: `X^{(0)} = …`; the index is left out where there is one plane only.
 * @param {string} name @param {Tensor} tensor */
function planes(name, { shape, values }) {
  const decimals = decimalsFor(values);
  const [height, width] = shape.length > 1 ? shape.slice(-2) : [1, values.length];
  const lead = shape.length > 1 ? shape.slice(0, -2) : [];
  const amount = lead.reduce((product, size) => product * size, 1);
  return Array.from({ length: amount }, (_, at) => {
    const index = lead.length === 2 ? [Math.floor(at / lead[1]), at % lead[1]] : [at];
    const label = amount > 1 ? `${braced(name)}^{(${index.join(",")})}` : name;
    const plane = values.slice(at * height * width, (at + 1) * height * width);
    return `${label} = ${matrix(plane, width, decimals)}`;
  });
}

/** A fraction needs braces before it can carry an index. @param {string} name */
const braced = (name) => (name.length > 1 ? `\\left(${name}\\right)` : name);

/** @param {number[]} values @param {number} width @param {number} decimals */
function matrix(values, width, decimals) {
  const rows = [];
  for (let at = 0; at < values.length; at += width) {
    rows.push(values.slice(at, at + width).map((value) => number(value, decimals)).join(" & "));
  }
  return `\\begin{pmatrix} ${rows.join(" \\\\ ")} \\end{pmatrix}`;
}

/** @param {number} value @param {number} [decimals] */
function number(value, decimals = decimalsFor([value])) {
  if (!Number.isFinite(value)) return value < 0 ? "-\\infty" : "\\infty";
  const [digits, exponent] = numeral(value, decimals).replace("−", "-").replace(/e[+]?/, "e").replace("−", "-").split("e");
  return exponent ? `${digits} \\cdot 10^{${exponent}}` : digits;
}

/** @param {State} state @param {Plan} p @param {Result} result */
function equation(state, p, result) {
  const sum = sumAt(p, state, state.at);
  const value = valueAt(resultTensor(result, state.pass), state.at);
  const shown = [value, ...sum.terms.flatMap(({ factors }) => factors), sum.bias ?? 0].filter(Number.isFinite);
  const exact = shown.every((one) => Math.abs(Number(numeral(one).replace("−", "-")) - one) <= 1e-12 * Math.abs(one));
  const name = `${braced(NAMES[state.pass])}_{${state.at.join(",")}}`;
  const lines = linesOf(state, p, sum);
  return [`${name} &= ${lines[0]}`, ...lines.slice(1).map((line) => `&\\quad ${line}`), `&${exact ? "=" : "\\approx"} ${number(value)}`].join(" \\\\\n");
}

/** @param {State} state @param {Plan} p @param {Sum} sum @returns {string[]} */
function linesOf(state, p, { terms, bias }) {
  const forward = state.pass === "forward";
  const inputs = terms.map(({ factors, link }) => number(link && link.big < 0 ? -Infinity : factors[1]));
  if (forward && p.operation === "relu") return [`\\max(0, ${inputs[0]})`];
  if (forward && p.operation === "max_pool2d") return [`\\max(${inputs.join(", ")})`];
  if (forward && p.operation === "avg_pool2d" && terms.length) return [average(terms)];
  const parts = terms.map(({ factors }, at) => product(factors, at === 0));
  if (bias !== null && (bias !== 0 || !parts.length)) parts.push(signed(bias, number(Math.abs(bias)), !parts.length));
  const length = forward && !p.transposed ? p.cols.kernel : TERMS_A_LINE;
  const lines = [];
  for (let at = 0; at < parts.length; at += length) lines.push(parts.slice(at, at + length).join(" "));
  return lines.length ? lines : ["0"];
}

/** @param {import("../numerics/terms.js").Term[]} terms */
function average(terms) {
  const parts = terms.map(({ factors }, at) => signed(factors[1], number(Math.abs(factors[1])), at === 0));
  return `\\frac{${parts.join(" ")}}{${Math.round(1 / terms[0].factors[0])}}`;
}

/** @param {number[]} factors @param {boolean} first */
function product([a, b], first) {
  const size = number(Math.abs(a));
  if (b === undefined) return signed(a, size, first);
  return signed(a, `${size} \\cdot ${b < 0 ? `(${number(b)})` : number(b)}`, first);
}

/** @param {number} sign @param {string} text @param {boolean} first */
const signed = (sign, text, first) => (sign < 0 ? `- ${text}` : first ? text : `+ ${text}`);
