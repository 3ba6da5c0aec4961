// @ts-check
/** What stands around the grids: shapes, signs between the places, names of numbers. Holds no DOM. */
import { say } from "../show/words.js";
import { tensorNamed } from "./planes.js";

/** @typedef {import("./store.js").Store} Store */

/** @param {number[]} sides */
const pads = ([before, after]) => (before === after ? String(before) : `${before}+${after}`);

/** Shape and, for an input, its padding. @param {Store} store @param {string} tensor */
export function captionOf(store, tensor) {
  const shape = tensorNamed(store, tensor).shape.join(" × ");
  const { rows, cols, operation } = store.plan;
  const sides = [pads([rows.before, rows.after]), pads([cols.before, cols.after])];
  if (tensor !== "x" || store.plan.transposed || sides.every((side) => side === "0")) return shape;
  const mode = operation === "max_pool2d" ? "−∞" : say(store.state.padding_mode);
  return say("caption.padded", { shape, padding: sides[0] === sides[1] ? sides[0] : sides.join(", "), mode });
}

/** The signs between left and middle, and between middle and right. @param {Store} store @returns {[string, string]} */
export function signsOf({ plan, state }) {
  if (!plan.weighted) return state.pass === "forward" ? ["", "→"] : ["→", "←"];
  const product = state.flip ? "∗" : "⊛";
  const across = plan.transposed ? `${product}ᵀ` : product;
  if (state.pass === "forward") return [across, "="];
  if (state.pass === "x") return ["=", plan.transposed ? product : `${product}ᵀ`];
  return state.pass === "bias" ? ["", "= Σ"] : ["→", "←"];
}

/** Name of a number as in torch: `Y[0, 2, 2]`. @param {string} tensor @param {number[]} index */
export function nameOf(tensor, index) {
  const letters = /** @type {Record<string, string>} */ ({
    x: "X",
    weight: "W",
    bias: "b",
    y: "Y",
    grad_x: "∂L/∂X",
    grad_weight: "∂L/∂W",
    grad_bias: "∂L/∂b",
    grad_y: "∂L/∂Y",
  });
  return `${letters[tensor]}[${index.join(", ").replace(/-/g, "−")}]`;
}
