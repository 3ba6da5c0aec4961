// @ts-check
/** Runs a filter here for pictures up to 512², beside the page for larger ones; of many kernels the newest counts. */
import { Filter } from "./filtering.js";

/**
 * @typedef {import("./filtering.js").Kernel} Kernel
 * @typedef {import("./bytes.js").Show} Show
 * @typedef {import("./bytes.js").Told} Told
 */

const MOST_HERE = 512 * 512;

export class Runner {
  /** @type {Worker | null} */ #worker = null;
  /** @type {Filter | null} */ #filter = null;
  /** @type {ImageData | null} */ #picture = null;
  /** @type {ImageData | null} */ #result = null;
  /** @type {{kernel: Kernel, show: Show | null} | null} */ #waiting = null;
  #busy = false;
  #done;

  /** @param {(told: Told, picture: ImageData) => void} done */
  constructor(done) {
    this.#done = done;
  }

  /** A new picture. What an earlier one still waits for is given up. @param {ImageData} picture */
  take(picture) {
    this.rest();
    this.#picture = picture;
    this.#filter = new Filter(picture);
    this.#result = new ImageData(picture.width, picture.height);
  }

  /** @param {Kernel} kernel @param {Show | null} show */
  run(kernel, show) {
    if (!this.#picture || !this.#filter || !this.#result) return;
    if (this.#picture.width * this.#picture.height <= MOST_HERE) {
      this.#done(this.#filter.run(kernel, show, this.#result.data), this.#result);
      return;
    }
    this.#waiting = { kernel, show };
    this.#send(this.#picture);
  }

  /** @param {ImageData} picture */
  #send(picture) {
    if (this.#busy || !this.#waiting) return;
    this.#worker ??= this.#started(picture);
    this.#worker.postMessage(this.#waiting);
    this.#waiting = null;
    this.#busy = true;
  }

  /** @param {ImageData} picture */
  #started(picture) {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    const { width, height, data } = picture;
    worker.postMessage({ picture: { width, height, data } });
    worker.addEventListener("message", (event) => {
      if (worker !== this.#worker) return;
      this.#busy = false;
      this.#done(event.data.told, new ImageData(event.data.bytes, width, height));
      this.#send(picture);
    });
    return worker;
  }

  /** Stop what runs beside the page. */
  rest() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#waiting = null;
    this.#busy = false;
  }
}
