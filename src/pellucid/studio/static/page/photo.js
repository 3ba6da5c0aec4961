// @ts-check
/** The photograph beside the numbers: its element is fetched when a lesson first shows it. */

/** @typedef {import("./store.js").Store} Store */

/** @param {Store} store @param {boolean} shown */
export async function drawPhoto({ state }, shown) {
  const box = /** @type {HTMLElement} */ (document.getElementById("photo"));
  box.hidden = !shown;
  if (!shown) return;
  await import("../photo/photo-filter.js");
  const element = box.querySelector("photo-filter") ?? box.appendChild(document.createElement("photo-filter"));
  const kernel = {
    shape: state.kernel_size,
    values: state.weight.values.slice(0, state.kernel_size[0] * state.kernel_size[1]),
  };
  Object.assign(element, { kernel: state.flip ? { ...kernel, values: kernel.values.slice().reverse() } : kernel });
  if (!element.isConnected || !(/** @type {any} */ (element).source)) Object.assign(element, { source: "/photo" });
}
