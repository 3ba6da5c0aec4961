// @ts-check
/** Filters large photographs beside the page. First comes the picture, then one kernel after another. */
import { Filter } from "./filtering.js";

/** @type {Filter | null} */
let filter = null;

addEventListener("message", ({ data }) => {
  if (data.picture) {
    filter = new Filter(data.picture);
    return;
  }
  if (!filter) return;
  const bytes = new Uint8ClampedArray(filter.picture.data.length);
  const told = filter.run(data.kernel, data.show, bytes);
  postMessage({ told, bytes }, { transfer: [bytes.buffer] });
});
