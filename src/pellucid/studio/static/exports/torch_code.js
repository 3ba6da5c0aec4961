// @ts-check
/** A state as PyTorch code that runs by itself and checks the page's numbers. */
import { plan, resultTensor } from "../numerics.js";

/**
 * @typedef {import("../numerics/plan.js").State} State
 * @typedef {import("../numerics/plan.js").Tensor} Tensor
 * @typedef {import("../numerics/whole.js").Result} Result
 */

const WIDTH = 100;
const LAYERS = /** @type {Record<string, string>} */ ({
  conv2d: "nn.Conv2d", conv_transpose2d: "nn.ConvTranspose2d", max_pool2d: "nn.MaxPool2d", avg_pool2d: "nn.AvgPool2d",
  relu: "nn.ReLU",
});
/** What torch assumes where an argument is left out. */
const DEFAULTS = /** @type {Record<string, string>} */ ({
  stride: "1", padding: "0", output_padding: "0", dilation: "1", groups: "1", padding_mode: '"zeros"',
  ceil_mode: "False", count_include_pad: "True",
});
const ARGUMENTS = /** @type {Record<string, (keyof State)[]>} */ ({
  conv2d: ["kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"],
  conv_transpose2d: ["kernel_size", "stride", "padding", "output_padding", "dilation", "groups"],
  max_pool2d: ["kernel_size", "stride", "padding", "dilation", "ceil_mode"],
  avg_pool2d: ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"],
  relu: [],
});
/** Where torch leaves the gradient that a pass asks for. */
const GRADIENTS = /** @type {Record<string, string>} */ ({ x: "x.grad", weight: "layer.weight.grad", bias: "layer.bias.grad" });

/** @param {State} state @param {Result} result @returns {string} */
export function torchCode(state, result) {
  const p = plan(state);
  const forward = state.pass === "forward";
  const found = forward ? "y" : foundGradient(state);
  const needs = state.pass === "x" ? ", requires_grad=True" : "";
  const lines = [
    "import torch",
    "from torch import nn",
    "",
    `x = ${literal({ ...state.x, shape: [1, ...state.x.shape] }, needs)}  # N C H W`,
    `layer = ${layer(state, p.weighted ? ["dtype=torch.float64"] : [])}`,
    ...parameters(state, p.weighted),
    "",
    "y = layer(x)",
    ...(forward ? [] : [`dy = ${arrivingText(state)}`, "y.backward(dy)"]),
    `print(${found})`,
    "",
    `expected = ${literal(expectedTensor(state, result))}`,
    `torch.testing.assert_close(${forward ? "y.detach()" : found}, expected)  # the numbers of the page`,
  ];
  return lines.join("\n") + "\n";
}

/** A true convolution is torch's with the filter turned, so its gradient comes turned, too. @param {State} state */
function foundGradient({ pass, flip }) {
  return GRADIENTS[pass] + (flip && pass === "weight" ? ".flip(-2, -1)" : "");
}

/** The layer with the arguments that are not torch's defaults: `nn.Conv2d(1, 1, kernel_size=3, padding=1)`.
 * @param {State} state @param {string[]} [tail] */
export function layer(state, tail = []) {
  const p = plan(state);
  const assumed = /** @type {Record<string, string>} */ ({ ...DEFAULTS, ...(p.weighted ? {} : { stride: value(state.kernel_size) }) });
  const set = ARGUMENTS[state.operation]
    .map((name) => [name, value(state[name])])
    .filter(([name, text]) => assumed[name] !== text)
    .map(([name, text]) => `${name}=${text}`);
  const channels = p.weighted ? [String(p.input[0]), String(p.output[0])] : [];
  const none = p.weighted && !state.bias ? ["bias=False"] : [];
  return `${LAYERS[state.operation]}(${[...channels, ...set, ...none, ...tail].join(", ")})`;
}

/** An argument as Python writes it; a pair of equals is one number. @param {unknown} given */
function value(given) {
  if (typeof given === "boolean") return given ? "True" : "False";
  if (typeof given === "string") return `"${given}"`;
  if (!Array.isArray(given)) return String(given);
  return given[0] === given[1] ? String(given[0]) : `(${given.join(", ")})`;
}

/** @param {State} state @param {boolean} weighted */
function parameters(state, weighted) {
  if (!weighted) return [];
  const turned = state.flip ? ".flip(-2, -1)" : "";
  const weight = indented(literal(state.weight), 4);
  const note = state.flip ? ["    # A true convolution turns the filter by 180°."] : [];
  const lines = ["with torch.no_grad():", ...note, `    layer.weight.copy_(${weight}${turned})`];
  if (state.bias) lines.push(`    layer.bias.copy_(${indented(literal(state.bias), 4)})`);
  return lines;
}

/** @param {string} text @param {number} by */
const indented = (text, by) => text.replace(/\n/g, `\n${" ".repeat(by)}`);

/** @param {State} state */
function arrivingText({ grad_output }) {
  return grad_output ? literal({ ...grad_output, shape: [1, ...grad_output.shape] }) : "torch.ones_like(y)";
}

/** @param {State} state @param {Result} result @returns {Tensor} */
function expectedTensor(state, result) {
  const tensor = resultTensor(result, state.pass);
  const batched = state.pass === "forward" || state.pass === "x";
  return batched ? { ...tensor, shape: [1, ...tensor.shape] } : tensor;
}

/** `torch.tensor(...)` in float64, on one line where it fits. @param {Tensor} tensor @param {string} [needs] */
function literal(tensor, needs = "") {
  const tail = `dtype=torch.float64${needs}`;
  const flat = nested(tensor.shape, tensor.values.map(number), " ");
  if (flat.length + tail.length < WIDTH - 20) return `torch.tensor(${flat}, ${tail})`;
  return `torch.tensor(\n    ${nested(tensor.shape, tensor.values.map(number), "\n    ")},\n    ${tail},\n)`;
}

/** @param {number} given */
function number(given) {
  if (Number.isFinite(given)) return String(given);
  return `float("${Number.isNaN(given) ? "nan" : given < 0 ? "-inf" : "inf"}")`;
}

/** Brackets around rows; rows of one block stand below each other. @param {number[]} shape @param {string[]} texts
 * @param {string} gap @returns {string} */
function nested([size, ...inner], texts, gap) {
  if (!inner.length) return `[${texts.join(", ")}]`;
  const deeper = gap === " " ? gap : `${gap} `;
  const part = texts.length / size;
  const blocks = Array.from({ length: size }, (_, at) => nested(inner, texts.slice(at * part, (at + 1) * part), deeper));
  return `[${blocks.join(`,${deeper}`)}]`;
}
