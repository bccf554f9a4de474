// Draws the figures and keeps them to the variants that are chosen. Nothing is fetched: the
// specifications are in the page, and expressions run in Vega's interpreter, not in eval.
"use strict";
(() => {
  const { datasets, figures } = JSON.parse(document.getElementById("data").textContent);
  // Data travel as columns; Vega wants rows.
  for (const [name, columns] of Object.entries(datasets)) {
    const keys = Object.keys(columns);
    const row = (_, index) => Object.fromEntries(keys.map((key) => [key, columns[key][index]]));
    datasets[name] = columns[keys[0]].map(row);
  }
  const boxes = [...document.querySelectorAll("#list input")];
  const views = new Map();
  const GUTTER = 20;
  const LEAST = 150; // pixels; a narrower panel can't be read

  const shown = () => boxes.filter((box) => box.checked).map((box) => box.value);

  // Fits a specification into `width` pixels: fewer panels side by side, or a narrower one.
  function fit(spec, width) {
    if (!spec.facet) {
      spec.width = Math.max(LEAST, Math.min(width, 900));
      spec.height = Math.round(spec.width * (width < 500 ? 0.75 : 0.45));
      return;
    }
    const room = width - spec.usermeta.margin + GUTTER;
    const asked = Math.max(spec.spec.width * 0.75, LEAST) + GUTTER;
    spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(room / asked)));
    const before = spec.spec.width;
    spec.spec.width = Math.floor(Math.max(room / spec.columns - GUTTER, LEAST / 2));
    if (typeof spec.spec.height === "number") {
      spec.spec.height = Math.round((spec.spec.height * spec.spec.width) / before);
    }
  }

  async function draw(figure) {
    const name = figure.dataset.figure;
    const choice = figure.querySelector(".choices input:checked");
    const spec = structuredClone(figures[name][choice ? choice.value : ""]);
    spec.datasets = datasets;
    const chart = figure.querySelector(".chart");
    fit(spec, chart.clientWidth);
    spec.params[0].value = shown();
    const options = {
      renderer: "svg",
      actions: false,
      ast: true,
      defaultStyle: false,
      logLevel: 1, // errors; where no variant is chosen, Vega warns of axes without data
      tooltip: { disableDefaultStyle: true },
    };
    views.get(name)?.finalize();
    const result = await vegaEmbed(chart, spec, options);
    // The figure's own label and its table say more than a name for each mark.
    chart.querySelector("svg").setAttribute("aria-hidden", "true");
    views.set(name, result);
  }

  async function drawAll() {
    for (const figure of document.querySelectorAll("[data-figure]")) {
      await draw(figure);
      await new Promise((resume) => setTimeout(resume)); // lets the page answer in between
    }
    document.documentElement.dataset.drawn = "true";
  }

  // A figure is drawn from its data again, which is what drops whole panels and their space.
  async function choose() {
    label();
    const names = shown();
    for (const { view } of views.values()) {
      view.signal("shown", names);
      await view.runAsync();
    }
  }

  function label() {
    open.textContent = `${shown().length} of ${boxes.length} variants`;
  }

  const open = document.getElementById("open");
  const list = document.getElementById("list");
  open.addEventListener("click", () => {
    open.setAttribute("aria-expanded", String(list.classList.toggle("open")));
  });
  list.addEventListener("change", choose);
  for (const [id, checked] of [["all", true], ["none", false]]) {
    document.getElementById(id).addEventListener("click", () => {
      for (const box of boxes) box.checked = checked;
      choose();
    });
  }
  for (const figure of document.querySelectorAll("[data-figure]")) {
    figure.querySelector(".choices")?.addEventListener("change", () => draw(figure));
  }

  let width = document.documentElement.clientWidth;
  let timer;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    clearTimeout(timer);
    timer = setTimeout(drawAll, 200);
  });
  label();
  // After the first paint: the table is there before the figures are.
  requestAnimationFrame(() => setTimeout(drawAll));
})();
