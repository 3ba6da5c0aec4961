// Readouts: the row of the numbers below a chart that lies nearest to the pointer. Nothing is computed here
// that the page does not say already; without this script the page loses only these readouts.
"use strict";
for (const chart of document.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg");
  const readout = chart.querySelector(".readout");
  const cursor = svg.querySelector(".cursor");
  const places = (svg.dataset.x ?? "").split(" ").filter(Boolean).map(Number);
  const table = chart.closest("figure").querySelector("details table");
  if (!places.length || !table) continue;
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);

  const show = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let nearest = 0;
    places.forEach((place, index) => {
      if (Math.abs(place - x) < Math.abs(places[nearest] - x)) nearest = index;
    });
    const cells = [...table.tBodies[0].rows[nearest].cells].map((cell) => cell.textContent);
    readout.textContent = cells.map((cell, index) => cell && `${heads[index]} ${cell}`).filter(Boolean).join(" · ");
    readout.hidden = false;
    cursor.setAttribute("x1", places[nearest]);
    cursor.setAttribute("x2", places[nearest]);
  };
  const hide = () => {
    readout.hidden = true;
    cursor.setAttribute("x1", -9);
    cursor.setAttribute("x2", -9);
  };
  svg.addEventListener("pointermove", show);
  svg.addEventListener("pointerdown", show);
  svg.addEventListener("pointerleave", hide);
}
