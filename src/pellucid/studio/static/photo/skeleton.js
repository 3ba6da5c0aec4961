// @ts-check
/** The parts of `<photo-filter>`, made once; their words come with the language. */
import { word } from "./caption.js";

/** @type {import("./bytes.js").Show[]} */
export const SHOWS = ["clip", "absolute", "signed", "stretch"];
const STYLE = new URL("photo-filter.css", import.meta.url).href;

/** @typedef {ReturnType<typeof skeleton>} Parts */

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {Record<string, unknown>} [properties] @param {...Node} inside
 * @returns {HTMLElementTagNameMap[T]} */
function make(tag, properties = {}, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

/** @param {string} kind */
function frame(kind) {
  const canvas = make("canvas", { className: kind, width: 1, height: 1 });
  canvas.setAttribute("role", "img");
  const text = make("figcaption");
  return { canvas, text, figure: make("figure", {}, canvas, text) };
}

// The module is ready when its style is, so that no element is ever laid out without it.
const style = make("link", { rel: "stylesheet", href: STYLE });
await new Promise((ready) => {
  style.onload = style.onerror = ready;
  document.head.append(style);
});

export function skeleton() {
  const [left, right] = [frame("photo-original"), frame("photo-result")];
  const said = make("p", { className: "photo-said" });
  const problem = make("p", { className: "photo-problem" });
  problem.setAttribute("role", "alert");
  const choose = make("input", { type: "file", accept: "image/*" });
  const chooseText = make("span");
  const stays = make("small");
  const back = make("button", { type: "button", hidden: true });
  const show = make("select", {}, ...["", ...SHOWS].map((value) => make("option", { value })));
  const showText = make("span");
  const root = make("div", { className: "photo" },
    make("div", { className: "photo-pair" }, left.figure, right.figure), said, problem,
    make("p", { className: "photo-settings" },
      make("label", {}, showText, show), make("label", { className: "photo-choose" }, chooseText, choose), stays, back),
  );
  return {
    root, original: left.canvas, result: right.canvas, originalText: left.text, resultText: right.text,
    said, problem, choose, chooseText, stays, back, show, showText,
  };
}

/** @param {Parts} parts @param {string} lang */
export function translate(parts, lang) {
  const texts = /** @type {[HTMLElement, string][]} */ ([
    [parts.originalText, "original"], [parts.resultText, "result"], [parts.chooseText, "choose"], [parts.stays, "stays"],
    [parts.back, "back"], [parts.showText, "show"],
    ...Array.from(parts.show.options, (option) => [option, `show.${option.value || "auto"}`]),
  ]);
  for (const [element, key] of texts) {
    const text = word(lang, key);
    if (element.textContent !== text) element.textContent = text;
  }
}
