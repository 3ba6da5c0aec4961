// @ts-check
/** Blocks of number grids beside each other, as one SVG that prints well: hairlines, and the window's outline. */

/**
 * @typedef {{text: string, step: number, pad: boolean, lit: boolean}} Cell
 * @typedef {{name: string, planes: Cell[][][]}} Block  planes of rows of cells
 */

/** Nine steps from −1 to +1, of equal lightness at equal size. */
const SCALE = ["#2a69b4", "#5f8cc6", "#90afd7", "#c2d2e7", "#f5f5f5", "#e3cbbc", "#cfa284", "#b9794b", "#9f5104"];
const [INK, SOFT, HAIR, GROUND] = ["#16191d", "#565e69", "#b9bec4", "#ffffff"];
const [CELL, GAP, SIGN, HEAD, EDGE, LETTER] = [34, 14, 52, 28, 12, 7.5];

/** @param {Block[]} blocks @param {string[]} signs between them @param {string} about */
export function sheet(blocks, signs, about) {
  const tall = Math.max(...blocks.map(heightOf));
  const parts = [];
  let left = EDGE;
  for (const [at, block] of blocks.entries()) {
    const top = EDGE + HEAD + (tall - heightOf(block)) / 2;
    parts.push(drawnBlock(block, left, top));
    left += widthOf(block);
    if (at < signs.length) {
      parts.push(text(signs[at], left + SIGN / 2, EDGE + HEAD + tall / 2 + 8, `font-size="24" fill="${INK}"`));
      left += SIGN;
    }
  }
  const [width, height] = [left + EDGE, tall + HEAD + 2 * EDGE];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"`,
    `  font-family="Inter, Helvetica, Arial, sans-serif" font-variant-numeric="tabular-nums" text-anchor="middle">`,
    `<title>${about}</title>`,
    `<rect width="${width}" height="${height}" fill="${GROUND}"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** Cells are as wide as their longest number needs. @param {Block} block */
function cellWidth({ planes }) {
  const longest = Math.max(...planes.flat(2).map((cell) => cell.text.length));
  return Math.max(CELL, Math.ceil(longest * LETTER) + 8);
}

/** @param {Block} block */
const widthOf = (block) => block.planes[0][0].length * cellWidth(block);
/** @param {Block} block */
const heightOf = ({ planes }) => planes.length * (planes[0].length * CELL + GAP) - GAP;

/** @param {Block} block @param {number} left @param {number} top */
function drawnBlock(block, left, top) {
  const width = cellWidth(block);
  const parts = [text(block.name, left + widthOf(block) / 2, top - 10, `font-size="15" font-weight="600" fill="${INK}"`)];
  for (const rows of block.planes) {
    rows.forEach((row, y) => row.forEach((cell, x) => parts.push(drawnCell(cell, left + x * width, top + y * CELL, width))));
    const path = contour(rows, left, top, width);
    if (path) parts.push(`<path d="${path}" fill="none" stroke="${INK}" stroke-width="2.5" stroke-linecap="square"/>`);
    top += rows.length * CELL + GAP;
  }
  return parts.join("\n");
}

/** @param {Cell} cell @param {number} x @param {number} y @param {number} width */
function drawnCell(cell, x, y, width) {
  const fill = cell.pad ? GROUND : SCALE[cell.step + 4];
  const ink = cell.pad ? SOFT : Math.abs(cell.step) === 4 ? "#ffffff" : "#000000";
  const dashes = cell.pad ? ' stroke-dasharray="2 2"' : "";
  const box = `<rect x="${x}" y="${y}" width="${width}" height="${CELL}" fill="${fill}" stroke="${HAIR}" stroke-width="0.75"${dashes}/>`;
  return box + text(cell.text, x + width / 2, y + CELL / 2 + 4.7, `font-size="13" fill="${ink}"`);
}

/** The border between cells that are lit and cells that are not. @param {Cell[][]} rows @param {number} left
 * @param {number} top @param {number} width */
function contour(rows, left, top, width) {
  const lit = (/** @type {number} */ y, /** @type {number} */ x) => Boolean(rows[y]?.[x]?.lit);
  const lines = [];
  for (let y = 0; y <= rows.length; y++) {
    for (let x = 0; x <= rows[0].length; x++) {
      const start = `M${left + x * width} ${top + y * CELL}`;
      if (lit(y, x) !== lit(y - 1, x)) lines.push(`${start}h${width}`);
      if (lit(y, x) !== lit(y, x - 1)) lines.push(`${start}v${CELL}`);
    }
  }
  return lines.join("");
}

/** @param {string} content @param {number} x @param {number} y @param {string} attributes */
const text = (content, x, y, attributes) => `<text x="${x}" y="${y}" ${attributes}>${content}</text>`;
