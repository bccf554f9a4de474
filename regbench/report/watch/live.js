// Keeps the page as the server tells: a first event has everything, each later one what changed.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 320, HEIGHT = 190, LEFT = 34, BOTTOM = 20, TOP = 6, RIGHT = 8;
  const runs = new Map();
  const byId = (id) => document.getElementById(id);

  // Elements are made, never parsed from text: names come from folders.
  function made(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function drawn(tag, attributes, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // A name alone, where only one config has it.
  function label(variant) {
    const [name] = variant.split(" ");
    const same = new Set([...runs.values()].map((run) => run.variant));
    return [...same].filter((other) => other.split(" ")[0] === name).length > 1 ? variant : name;
  }

  function showRuns() {
    const order = { "in progress": 0, failed: 1, interrupted: 2, diverged: 3, completed: 4 };
    const shown = [...runs.entries()].sort(([a, one], [b, other]) =>
      order[one.state] - order[other.state] || (a < b ? -1 : 1));
    byId("none").hidden = shown.length > 0;
    byId("runs").replaceChildren(...shown.map(([key, run]) => {
      const name = `${label(run.variant)}, seed ${run.seed}`;
      const left = run.left ? `, about ${run.left} left` : "";
      const bad = run.state === "failed" || run.state === "diverged";
      const bar = made("progress", { max: run.epochs, value: run.epoch, "aria-label": name });
      return made("li", { "data-run": key, "data-state": run.state, "data-epoch": run.epoch },
        made("span", { class: "name" }, name),
        made("span", { class: bad ? "bad" : "state" },
          run.state === "completed" ? "completed" : `${run.state}, epoch ${run.epoch} of ${run.epochs}${left}`),
        ...(run.state === "completed" ? [] : [bar]));
    }));
    const count = (state) => shown.filter(([, run]) => run.state === state).length;
    const told = ["completed", "in progress", "interrupted", "failed", "diverged"]
      .filter(count).map((state) => `${count(state)} ${state}`);
    byId("lead").textContent = told.length ? told.join(", ") : "No runs yet";
    byId("lead").classList.remove("lost");
  }

  function showTable(table) {
    byId("finished").hidden = table.length === 0;
    byId("unfinished").hidden = table.length > 0;
    byId("table").replaceChildren(...table.map((row) => {
      const cells = ["train_accuracy", "test_accuracy", "gap", "versus_test_accuracy", "versus_gap"];
      const name = made("th", { scope: "row" }, row.name);
      if (row.diverged) name.append(made("span", { class: "bad" }, ` ${row.diverged} of ${row.runs} diverged`));
      return made("tr", {}, name, made("td", {}, String(row.runs)), ...cells.map((cell) => {
        const [mean, half] = row[cell].split(" ");
        return made("td", {}, mean, ...(half ? [" ", made("small", {}, half)] : []));
      }));
    }));
  }

  function panel(variant, own) {
    const scale = document.querySelector("[name=scale]:checked").value;
    const curves = own.flatMap((run) => ["train", "test"].map((curve) => (
      { curve, points: run.points[`${curve}_${scale}`], old: run.state !== "in progress" })));
    const values = curves.flatMap(({ points }) => points.map(([, value]) => value));
    const last = Math.max(1, ...own.map((run) => run.epochs));
    const top = scale === "accuracy" ? 1 : Math.max(0.1, ...values.filter((value) => value < 20));
    const x = (epoch) => LEFT + (WIDTH - LEFT - RIGHT) * epoch / last;
    const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * Math.min(value, top) / top;
    const chart = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `${label(variant)}: train and test ${scale} by epoch` });
    for (const share of [0, 0.5, 1]) {
      const at = y(share * top);
      chart.append(drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at, class: "grid" }));
      chart.append(drawn("text", { x: LEFT - 5, y: at + 4, "text-anchor": "end" },
        String(Math.round(share * top * 100) / 100)));
    }
    chart.append(drawn("text", { x: LEFT, y: HEIGHT - 5 }, "0"));
    chart.append(drawn("text", { x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, `epoch ${last}`));
    for (const { curve, points, old } of curves) {
      const place = points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`);
      chart.append(drawn("polyline", { points: place.join(" "), class: old ? `${curve} old` : curve }));
    }
    return made("div", { "data-panel": variant }, made("h3", {}, label(variant)), chart);
  }

  function showCurves() {
    const variants = new Map();
    for (const run of runs.values()) {
      if (!variants.has(run.variant)) variants.set(run.variant, []);
      variants.get(run.variant).push(run);
    }
    const names = [...variants.keys()].sort();
    byId("curves").replaceChildren(...names.map((name) => panel(name, variants.get(name))));
  }

  function show(change) {
    for (const key of change.gone) runs.delete(key);
    for (const [key, run] of Object.entries(change.runs)) runs.set(key, run);
    showRuns();
    showTable(change.table);
    showCurves();
    byId("problems").hidden = change.problems.length === 0;
    byId("problem-list").replaceChildren(...change.problems.map((each) => made("li", {}, each)));
    document.documentElement.dataset.shown = "true";
  }

  const events = new EventSource(`/events${location.search}`);
  events.addEventListener("everything", (event) => {
    runs.clear();
    show(JSON.parse(event.data));
  });
  events.addEventListener("change", (event) => show(JSON.parse(event.data)));
  // The browser tries again by itself, and a server that is back sends everything.
  events.addEventListener("error", () => {
    byId("lead").textContent = "Connection lost: what is below was the last state. Is regbench watch still running?";
    byId("lead").classList.add("lost");
  });
  document.querySelector(".choices").addEventListener("change", showCurves);
})();
