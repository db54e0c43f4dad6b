/* Draws the page's figures with the Plotly script that the book itself serves. */
(() => {
  "use strict";

  const NARROW_LEGEND = 26;
  const NARROW = 560;
  /* Colours of figures are those on white; these take their places on black. */
  const DARK = {
    "#ffffff": "#121212", // the page
    "#222832": "#e6e9ee", // ink
    "#55606e": "#a9b3c1",
    "#0f6cb5": "#63b3f0", // keep, retune, inconclusive
    "#c2500a": "#f28e4f",
    "#74777c": "#a3a6ab",
    "#2b3340": "#e1e5eb", // dense, uniform, non-uniform
    "#00806a": "#3fcaa8",
    "#8c8f1a": "#c3c74a",
    "#983a8d": "#e08ed6",
    "#c96fbd": "#e9b3e1",
    "#0a3d5c": "#f4f6c6", // from the best to the worst settings
    "#1f7f8c": "#8fd6b4",
    "#74bcb4": "#2f9a95",
    "#bfdcd4": "#21555f",
    "#f3f3f1": "#20252b",
    "#ffce3a": "#ff9d2e", // star
  };

  function themed(value) {
    if (typeof value === "string") {
      return DARK[value] || value;
    }
    if (Array.isArray(value)) {
      return value.map(themed);
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, themed(part)]));
    }
    return value;
  }

  function read(box) {
    const figure = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    return document.documentElement.dataset.theme === "dark" ? themed(figure) : figure;
  }

  /* The layout for a page of this width: beside each other or below each other. */
  function fit(layout, width) {
    const meta = layout.meta || {};
    if (meta.narrow) {
      return { width, ...(width < NARROW ? meta.narrow : meta.wide) };
    }
    if (!meta.panels) {
      return { width };
    }
    const { t, b, l, r } = meta.margin;
    const room = Math.floor((width - r) / (meta.panelWidth + l));
    const columns = Math.max(1, Math.min(meta.columns, room));
    const rows = Math.ceil(meta.panels / columns);
    const stacked = meta.panels > 1 && columns === 1;
    const panel = stacked ? Math.max(meta.panelHeight, 0.75 * (width - l - r)) : meta.panelHeight;
    return {
      width,
      height: rows * panel + (rows - 1) * meta.rowGap + t + b,
      "grid.columns": columns,
      "grid.rows": rows,
      "grid.ygap": meta.rowGap / (panel + meta.rowGap),
      "margin.t": t,
    };
  }

  /* A legend of several lines needs room above the panels. */
  async function clearLegend(plot, layout) {
    const legend = plot.querySelector(".legend");
    const extra = legend ? legend.getBoundingClientRect().height - NARROW_LEGEND : 0;
    if (extra > 4 && layout.meta && layout.meta.margin) {
      await Plotly.relayout(plot, {
        "margin.t": layout.meta.margin.t + extra,
        height: plot.layout.height + extra,
      });
    }
  }

  async function draw(box, plot) {
    const { data, layout } = read(box);
    layout.font = { ...layout.font, color: getComputedStyle(box).color };
    if (matchMedia("(pointer: coarse)").matches) {
      layout.dragmode = false; // A finger scrolls the page.
    }
    const form = structuredClone(fit(layout, box.clientWidth));
    await Plotly.react(plot, data, layout, { displayModeBar: false });
    await Plotly.relayout(plot, form);
    await clearLegend(plot, layout);
    box.style.minHeight = "";
  }

  function start(box) {
    const plot = document.createElement("div");
    box.appendChild(plot);
    let width = 0;
    new ResizeObserver(() => {
      if (box.clientWidth !== width && box.clientWidth > 0) {
        width = box.clientWidth;
        draw(box, plot);
      }
    }).observe(box);
    new MutationObserver(() => draw(box, plot)).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
  }

  /* Deferred scripts, Plotly's among them, have run when this event comes. */
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".hpstudy-figure").forEach(start);
  });
})();
