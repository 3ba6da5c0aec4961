// @ts-check
/** Which cells a number is joined to: the window of an output, the outputs of an input, the sub-image of a weight. */
import { inputOf, linksOfInput, linksOfOutput, linksOfWeight, outputOf } from "../numerics/links.js";
import { unflat } from "../numerics/plan.js";

/**
 * @typedef {import("../numerics/plan.js").Plan} Plan
 * @typedef {import("../numerics/links.js").Link} Link
 * @typedef {{space: string, index: number[], padded?: boolean}} Target
 * @typedef {{space: string, index: number[], kind: string}} Lit  index in the tensor; padded coordinates for an input
 */

/** @param {Plan} p @param {Target} target @returns {Lit[]} the target itself comes last, as `now` */
export function lightsOf(p, target) {
  const own = { space: target.space, index: target.index, kind: "now" };
  if (target.space === "bias") return [...biasLights(p, target.index[0]), own];
  const links = linksAt(p, target);
  return [...links.flatMap((link) => lit(p, link, target.space)), own];
}

/** @param {Plan} p @param {Target} target @returns {Link[]} */
export function linksAt(p, { space, index, padded }) {
  if (space === "output") return linksOfOutput(p, index);
  return space === "input" ? linksOfInput(p, index, padded) : linksOfWeight(p, index);
}

/** @param {Plan} p @param {Link} link @param {string} from @returns {Lit[]} */
function lit(p, link, from) {
  const output = outputOf(p, link);
  if (output < 0) return [];
  const kind = from === "input" ? "fan" : "tap";
  const ends = [
    { space: "input", index: inputPlace(p, link), kind: "tap" },
    { space: "output", index: unflat(p.output, output), kind },
  ];
  return link.weight < 0 ? ends : [...ends, { space: "weight", index: unflat(p.weight, link.weight), kind: "tap" }];
}

/** Where a link meets the input: on the padded ground of a convolution, at a number of a transposed one.
 * @param {Plan} p @param {Link} link */
const inputPlace = (p, link) => (p.transposed ? unflat(p.input, inputOf(p, link)) : link.place);

/** @param {Plan} p @param {number} channel @returns {Lit[]} */
function biasLights(p, channel) {
  const [, height, width] = p.output;
  return Array.from({ length: height * width }, (_, place) => ({
    space: "output",
    index: [channel, Math.floor(place / width), place % width],
    kind: "fan",
  }));
}

/** Kernels [first, second index of the weight] that the number at `index` of a space is joined to.
 * @param {Plan} p @param {string} space @param {number[]} index @returns {number[][]} */
export function kernelsOf(p, space, index) {
  const all = Array.from({ length: p.fan }, (_, c) => c);
  const onBig = (space === "input") !== p.transposed;
  if (space === "weight") return all.map((c) => [index[0], c]);
  if (!onBig) return all.map((c) => [index[0], c]);
  const members = p.small[0] / p.groups;
  const group = Math.floor(index[0] / p.fan);
  return Array.from({ length: members }, (_, s) => [group * members + s, index[0] - group * p.fan]);
}
