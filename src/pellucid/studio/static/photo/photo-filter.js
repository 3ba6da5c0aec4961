// @ts-check
/**
 * `<photo-filter>`: a photograph and the same photograph filtered, side by side, live while the kernel changes.
 *
 *   element.kernel = {shape: [3, 3], values: [0, 1, 0, 1, -4, 1, 0, 1, 0]}
 *   element.source = "/photo"          the address of a PNG; a reader's own photograph takes its place, and stays here
 *   element.show = "signed"            clip, absolute, signed, stretch, or null: absolute for kernels that sum to zero
 *
 * After each new picture it fires `filtered`, whose detail says what became of the responses.
 */
import { spoken } from "../show/words.js";
import { caption, word } from "./caption.js";
import { Runner } from "./runner.js";
import { readPicture } from "./reading.js";
import { SHOWS, skeleton, translate } from "./skeleton.js";

/**
 * @typedef {import("./filtering.js").Kernel} Kernel
 * @typedef {import("./bytes.js").Show} Show
 * @typedef {import("./bytes.js").Told} Told
 * @typedef {import("./reading.js").Read} Read
 */

export class PhotoFilter extends HTMLElement {
  /** @type {Kernel | null} */ #kernel = null;
  /** @type {Show | null} */ #show = null;
  /** @type {Read | null} */ #read = null;
  /** @type {Told | null} */ #told = null;
  #source = "";
  #loads = 0;
  #frame = 0;
  #parts = skeleton();
  #runner = new Runner((told, data) => this.#shown(told, data));

  connectedCallback() {
    if (this.#parts.root.parentElement !== this) this.#assemble();
    this.#say();
    this.#refresh();
  }

  disconnectedCallback() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#runner.rest();
  }

  #assemble() {
    const { root, choose, back, show } = this.#parts;
    this.append(root);
    choose.addEventListener("change", () => choose.files?.[0] && this.#load(choose.files[0], choose.files[0].name));
    back.addEventListener("click", () => this.#loadSource());
    show.addEventListener("change", () => (this.show = /** @type {Show | null} */ (show.value || null)));
    this.addEventListener("dragover", (event) => this.#over(event, true));
    this.addEventListener("dragleave", (event) => this.#over(event, false));
    this.addEventListener("drop", (event) => {
      this.#over(event, false);
      const file = event.dataTransfer?.files[0];
      if (file) this.#load(file, file.name);
    });
  }

  /** @param {DragEvent} event @param {boolean} inside */
  #over(event, inside) {
    event.preventDefault();
    this.classList.toggle("dropping", inside);
  }

  get kernel() {
    return this.#kernel;
  }
  set kernel(kernel) {
    this.#kernel = kernel;
    this.#say();
    this.#refresh();
  }

  get show() {
    return this.#show;
  }
  set show(show) {
    this.#show = show && SHOWS.includes(show) ? show : null;
    this.#parts.show.value = this.#show ?? "";
    this.#refresh();
  }

  get source() {
    return this.#source;
  }
  set source(source) {
    if (source === this.#source) return;
    this.#source = source;
    this.#loadSource();
  }

  #loadSource() {
    this.#parts.choose.value = "";
    this.#load(fetched(this.#source), this.#source, true);
  }

  /** What comes late, after a newer choice, is let go. @param {Blob | Promise<Blob>} coming @param {string} name
   * @param {boolean} [example] */
  async #load(coming, name, example = false) {
    const load = ++this.#loads;
    const read = await readPicture(await coming);
    if (load !== this.#loads) return;
    this.#parts.problem.textContent = read ? "" : word(spoken(), "unreadable", { name });
    if (!read) return;
    this.#read = read;
    this.#parts.back.hidden = example;
    this.#runner.take(read.picture);
    put(this.#parts.original, read.picture);
    this.#say();
    this.#refresh();
  }

  /** Once a frame at most, whatever changed. */
  #refresh() {
    if (this.#frame || !this.isConnected) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.#kernel || !this.#read) return;
      this.setAttribute("aria-busy", "true");
      this.#runner.run(this.#kernel, this.#show);
    });
  }

  /** @param {Told} told @param {ImageData} picture */
  #shown(told, picture) {
    this.#told = told;
    put(this.#parts.result, picture);
    this.removeAttribute("aria-busy");
    this.#say();
    this.dispatchEvent(new CustomEvent("filtered", { detail: told }));
  }

  #say() {
    const lang = spoken();
    translate(this.#parts, lang);
    if (!this.#read) return;
    const { picture, full } = this.#read;
    const size = { width: picture.width, height: picture.height };
    this.#parts.original.setAttribute("aria-label", word(lang, "original.alt", size));
    if (!this.#told) return;
    const said = caption(lang, this.#told, picture.width * picture.height * 3);
    const reduced = full.width === size.width ? "" : `; ${word(lang, "reduced", { ...size, fullWidth: full.width, fullHeight: full.height })}`;
    this.#parts.result.setAttribute("aria-label", word(lang, "result.alt", { said }));
    if (this.#parts.said.textContent !== said + reduced) this.#parts.said.textContent = said + reduced;
  }
}

/** An empty blob, which is no picture, where there is no answer. @param {string} address */
const fetched = (address) => fetch(address).then((answer) => answer.blob(), () => new Blob());

/** @param {HTMLCanvasElement} canvas @param {ImageData} picture */
function put(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) Object.assign(canvas, { width: picture.width, height: picture.height });
  canvas.getContext("2d", { willReadFrequently: true })?.putImageData(picture, 0, 0);
}

if (!customElements.get("photo-filter")) customElements.define("photo-filter", PhotoFilter);
