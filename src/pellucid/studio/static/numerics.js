// @ts-check
/** The arithmetic of the page, without a page: what exports, photograph and tests import. */
export { axis, extent, fold, OUTSIDE, PAD, paddings, placeOf, unread } from "./numerics/axis.js";
export { fullAt, hasFull, stretched, turned } from "./numerics/full.js";
export { inputOf, linksOfInput, linksOfOutput, linksOfWeight, outputOf } from "./numerics/links.js";
export { arriving, axes, count, flat, plan, unflat, WEIGHTED } from "./numerics/plan.js";
export { resultShape, resultTensor, sumAt, valueAt } from "./numerics/terms.js";
export { evaluate } from "./numerics/whole.js";
