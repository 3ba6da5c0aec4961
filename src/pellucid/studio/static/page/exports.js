// @ts-check
/** Four ways to take a state away, and the link to it. */
import { say } from "../show/words.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {{make: (store: Store) => Promise<string>, file?: string, type?: string}} Way */

/** @type {Record<string, Way>} */
const WAYS = {
  code: { make: async ({ state, result }) => (await import("../exports/torch_code.js")).torchCode(state, result) },
  latex: { make: async ({ state, result }) => (await import("../exports/latex.js")).latex(state, result) },
  svg: {
    make: async ({ state, result }) => (await import("../exports/svg.js")).svg(state, result),
    file: "svg",
    type: "image/svg+xml",
  },
  worksheet: {
    make: async ({ state, result }) =>
      (await import("../exports/worksheet.js")).worksheet(state, result, seedOf(state)),
    file: "html",
    type: "text/html",
  },
  link: { make: async (store) => `${location.origin}${location.pathname}${store.fragment()}` },
};

/** The same state always makes the same worksheet. @param {import("../numerics/plan.js").State} state */
const seedOf = (state) =>
  [...JSON.stringify(state)].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 99991, 7);

const told = () => /** @type {HTMLElement} */ (document.getElementById("export-told"));
const text = () => /** @type {HTMLTextAreaElement} */ (document.getElementById("export-text"));

/** @param {Store} store */
export function listenToExports(store) {
  document.getElementById("exports")?.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    const name = button?.dataset.export;
    if (name) take(store, name);
  });
}

/** @param {Store} store @param {string} name */
async function take(store, name) {
  const way = WAYS[name];
  const made = await way.make(store);
  text().hidden = true;
  if (way.file) save(made, `${store.state.preset}.${way.file}`, way.type ?? "text/plain");
  else await copy(made);
}

/** @param {string} made @param {string} name @param {string} type */
function save(made, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([made], { type: `${type};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  told().textContent = say("export.saved");
}

/** @param {string} made */
async function copy(made) {
  text().value = made;
  text().hidden = false;
  try {
    await navigator.clipboard.writeText(made);
    told().textContent = say("export.copied");
  } catch (error) {
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
    told().textContent = say("export.refused");
    text().select();
  }
}
