// @ts-check
/** A state as a sheet to print: what is given, six questions with blanks, and the answers on a page of their own. */
import { arriving, plan } from "../numerics.js";
import { decimalsFor, numeral } from "../show/numerals.js";
import { spoken } from "../show/words.js";
import { questions } from "./questions.js";
import { layer } from "./torch_code.js";
import { speaker } from "./worksheet_words.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("./questions.js").Question} Question
 * @typedef {ReturnType<typeof speaker>} Say
 */

const MOST_TERMS = 30;
const STYLE = `
  @page { margin: 18mm; }
  body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; color: #16191d; background: #ffffff;
    font: 15px/1.5 Inter, Helvetica, Arial, sans-serif; font-variant-numeric: tabular-nums; }
  header { display: flex; gap: 2rem; align-items: baseline; }
  header p { flex: 1; display: flex; gap: 0.5rem; } header p::after { content: ""; flex: 1; border-bottom: 1px solid #565e69; }
  h1, h2 { font-size: 1.35rem; } code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 0.92em; }
  .grids { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } figure { margin: 0; break-inside: avoid; }
  figcaption { font-weight: 600; font-size: 0.9em; } table { border-collapse: collapse; }
  td { border: 1px solid #b9bec4; padding: 0.15rem 0.4rem; min-width: 1.6rem; text-align: right; }
  ol { padding-left: 1.4rem; } li { margin: 1.1rem 0; break-inside: avoid; }
  .blank { display: inline-block; min-width: 9rem; border-bottom: 1px solid #16191d; } .working { color: #565e69; }
  .key { break-before: page; border-top: 1px solid #b9bec4; margin-top: 4rem; } footer { color: #565e69; font-size: 0.85em; }
  @media print { body { margin: 0; padding: 0; max-width: none; font-size: 11pt; } .key { border: 0; margin: 0; } }
`;

/** @param {State} state @param {unknown} _result what the page shows; the answers are computed anew @param {number} seed
 * @param {string} [lang] @returns {string} */
export function worksheet(state, _result, seed, lang = spoken()) {
  const say = speaker(lang);
  const asked = questions(state, seed);
  return `<!doctype html>
<html lang="${lang}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${say("title", { seed })}</title>
<style>${STYLE}</style>
<header><h1>${say("title", { seed })}</h1><p>${say("name")}</p><p>${say("date")}</p></header>
<h2>${say("given")}</h2>
<p><code>${layer(state)}</code></p>
<p>${rules(state, asked, say).join(" ")}</p>
<div class="grids">
${grids(state, asked).join("\n")}
</div>
<ol class="questions">
${asked.map((one) => `<li>${say(one.kind, one.values)} <span class="blank">&nbsp;</span></li>`).join("\n")}
</ol>
<section class="key">
<h2>${say("key", { seed })}</h2>
<ol class="answers">
${asked.map((one) => `<li><b>${answerText(one)}</b>${working(state, one)}</li>`).join("\n")}
</ol>
<footer>${say("foot")}</footer>
</section>
</html>
`;
}

/** What a reader must know beyond the layer. @param {State} state @param {Question[]} asked @param {Say} say */
function rules(state, asked, say) {
  const p = plan(state);
  const found = [say(p.transposed ? "indices.transposed" : p.weighted ? "indices" : "indices.plain")];
  const padded = [p.rows, p.cols].some(({ before, after }) => before || after);
  if (padded && state.operation === "conv2d") found.push(say(state.padding_mode));
  if (padded && state.operation === "max_pool2d") found.push(say("infinity"));
  if (padded && state.operation === "avg_pool2d") found.push(say(state.count_include_pad ? "average.pads" : "average.real"));
  if (p.flip) found.push(say("flip"));
  if (hasGradient(asked) && !state.grad_output) found.push(say("ones"));
  return found;
}

/** @param {Question[]} asked */
const hasGradient = (asked) => asked.some(({ pass }) => pass !== "forward");

/** @param {State} state @param {Question[]} asked */
function grids(state, asked) {
  const p = plan(state);
  const found = planes("X", state.x);
  if (p.weighted) found.push(...planes("W", state.weight));
  if (p.weighted && state.bias) found.push(...planes("b", state.bias));
  if (hasGradient(asked) && state.grad_output) found.push(...planes("∂L/∂Y", arriving(state, p)));
  return found;
}

/** One table a plane. @param {string} name @param {Tensor} tensor */
function planes(name, { shape, values }) {
  const decimals = decimalsFor(values);
  const [height, width] = shape.length > 1 ? shape.slice(-2) : [1, values.length];
  const amount = values.length / (height * width);
  return Array.from({ length: amount }, (_, at) => {
    const index = shape.length === 4 ? [Math.floor(at / shape[1]), at % shape[1]] : [at];
    const title = shape.length > 1 ? `${name}[${index.join(", ")}]` : name;
    const plane = values.slice(at * height * width, (at + 1) * height * width);
    const rows = Array.from({ length: height }, (_, row) => plane.slice(row * width, (row + 1) * width));
    const cells = rows.map((row) => `<tr>${row.map((value) => `<td>${numeral(value, decimals)}</td>`).join("")}</tr>`);
    return `<figure><figcaption>${title}</figcaption><table>${cells.join("")}</table></figure>`;
  });
}

/** @param {Question} question */
function answerText({ answer }) {
  if (Array.isArray(answer)) return answer.join(" × ");
  const text = numeral(answer);
  const rounded = Number.isFinite(answer) && Math.abs(Number(text.replace(/−/g, "-")) - answer) > 1e-9 * Math.abs(answer);
  return rounded ? `≈ ${text}` : text;
}

/** The sum behind an answer, where it is one of products and not too long. @param {State} state @param {Question} question */
function working(state, { sum, pass }) {
  const plain = plan(state).weighted || state.operation === "avg_pool2d" || pass !== "forward";
  if (!sum || !plain || !sum.terms.length || sum.terms.length > MOST_TERMS) return "";
  const parts = sum.terms.map(({ factors }) => factors.map((one) => (one < 0 ? `(${numeral(one)})` : numeral(one))).join("·"));
  if (sum.bias) parts.push(sum.bias < 0 ? `(${numeral(sum.bias)})` : numeral(sum.bias));
  return ` <span class="working">= ${parts.join(" + ")}</span>`;
}
