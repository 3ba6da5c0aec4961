// @ts-check
/** One channel or kernel as a table of numbers with a frame over it. It adopts a table that the server wrote. */

/**
 * @typedef {{space: string, tensor: string, channel: number[], height: number, width: number, origin: number[],
 *   texts: string[], titles: string[], steps: number[], kinds: string[], label: string, editable: boolean,
 *   about: string, speak: (cell: number) => string}} Plane  `about`: what all its cells say alike
 * @typedef {[number, number, number, number]} Box  first row, first column, end row, end column
 */

const SVG = "http://www.w3.org/2000/svg";

export class NumberGrid extends HTMLElement {
  /** @type {Plane | null} */ plane = null;
  /** @type {HTMLTableCellElement[]} */ cells = [];
  /** @type {Map<number, string>} */ lit = new Map();

  /** @param {Plane} plane */
  paint(plane) {
    const table = this.querySelector("table") ?? this.#table();
    const same = table.rows.length === plane.height && table.rows[0]?.cells.length === plane.width;
    if (!same || !this.plane) this.#measure(plane);
    if (!same) this.#rebuild(table, plane);
    if (!same || !this.cells.length) this.#adopt(table);
    const last = same ? this.plane : null;
    this.plane = plane;
    if (table.getAttribute("aria-label") !== plane.label) table.setAttribute("aria-label", plane.label);
    if (table.getAttribute("aria-readonly") !== String(!plane.editable))
      table.setAttribute("aria-readonly", String(!plane.editable));
    for (let cell = 0; cell < this.cells.length; cell++) this.#paintCell(cell, plane, last);
  }

  /** The cells, and which of them the server has lit. @param {HTMLTableElement} table */
  #adopt(table) {
    this.cells = /** @type {HTMLTableCellElement[]} */ ([...table.querySelectorAll("td")]);
    this.lit = new Map(this.cells.flatMap((td, cell) => (td.dataset.lit ? [[cell, td.dataset.lit]] : [])));
  }

  /** The style sheet makes a size of it, so that a change inside moves nothing outside. @param {Plane} plane */
  #measure(plane) {
    this.style.setProperty("--across", String(plane.width));
    this.style.setProperty("--down", String(plane.height));
  }

  /** @param {number} cell @param {Plane} plane @param {Plane | null} last */
  #paintCell(cell, plane, last) {
    const td = this.cells[cell];
    if (!last || last.texts[cell] !== plane.texts[cell]) td.textContent = plane.texts[cell];
    if (!last || last.titles[cell] !== plane.titles[cell]) td.title = plane.titles[cell];
    if (!last || last.steps[cell] !== plane.steps[cell]) td.dataset.step = String(plane.steps[cell]);
    if (!last || last.kinds[cell] !== plane.kinds[cell]) td.className = plane.kinds[cell];
    const told =
      last?.about === plane.about && last.texts[cell] === plane.texts[cell] && last.kinds[cell] === plane.kinds[cell];
    if (!told) td.ariaLabel = plane.speak(cell);
  }

  #table() {
    const table = document.createElement("table");
    table.setAttribute("role", "grid");
    table.append(document.createElement("tbody"));
    const frame = document.createElementNS(SVG, "svg");
    frame.setAttribute("class", "frame");
    frame.setAttribute("aria-hidden", "true");
    frame.setAttribute("preserveAspectRatio", "none");
    this.append(table, frame);
    return table;
  }

  /** @param {HTMLTableElement} table @param {Plane} plane */
  #rebuild(table, plane) {
    const row = document.createElement("tr");
    for (let place = 0; place < plane.width; place++) {
      const td = document.createElement("td");
      td.tabIndex = -1;
      row.append(td);
    }
    const rows = Array.from({ length: plane.height }, () => row.cloneNode(true));
    table.tBodies[0].replaceChildren(...rows);
    this.querySelector("svg")?.setAttribute("viewBox", `0 0 ${plane.width} ${plane.height}`);
    this.lit.clear();
    this.cells = [];
  }

  /** Lights cells by kind (`tap`, `now`, `fan`) and frames a box. @param {Map<number, string>} wanted
   * @param {Box | null} box */
  light(wanted, box) {
    for (const cell of this.lit.keys()) if (!wanted.has(cell)) delete this.cells[cell]?.dataset.lit;
    for (const [cell, kind] of wanted) if (this.lit.get(cell) !== kind) this.cells[cell].dataset.lit = kind;
    this.lit = wanted;
    const taps = [...wanted.values()].filter((kind) => kind !== "now" && kind !== "at").length;
    this.toggleAttribute("data-solid", box !== null && (box[2] - box[0]) * (box[3] - box[1]) === taps);
    this.#frame(box);
  }

  /** @param {Box | null} box */
  #frame(box) {
    const svg = /** @type {SVGSVGElement} */ (this.querySelector("svg"));
    if (!box) return svg.replaceChildren();
    const rect = svg.querySelector("rect") ?? svg.appendChild(document.createElementNS(SVG, "rect"));
    const [top, left, bottom, right] = box;
    const sides = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(sides)) {
      if (rect.getAttribute(name) !== String(value)) rect.setAttribute(name, String(value));
    }
  }

  /** Cell number of a coordinate, or -1 outside. @param {number} row @param {number} col */
  cellAt(row, col) {
    const { height, width, origin } = /** @type {Plane} */ (this.plane);
    const [y, x] = [row - origin[0], col - origin[1]];
    return y >= 0 && y < height && x >= 0 && x < width ? y * width + x : -1;
  }

  /** Index in the tensor (padded coordinates for an input) of a table cell. @param {HTMLTableCellElement} td */
  indexOf(td) {
    const { origin, channel } = /** @type {Plane} */ (this.plane);
    const row = /** @type {HTMLTableRowElement} */ (td.parentElement).rowIndex + origin[0];
    return [...channel, row, td.cellIndex + origin[1]];
  }

  /** The one cell that Tab reaches. @param {number} cell */
  rove(cell) {
    this.querySelector('td[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.cells[cell]?.setAttribute("tabindex", "0");
  }
}

customElements.define("number-grid", NumberGrid);
