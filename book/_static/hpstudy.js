/* Draws the page's figures with the Plotly script that the book itself serves. */
(() => {
  "use strict";

  const NARROW_LEGEND = 26;
  const NARROW = 560;

  function read(box) {
    return JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  }

  /* Fewer panels beside each other where there is less room; axes and titles follow the grid. */
  function fit(layout, width) {
    const meta = layout.meta || {};
    if (meta.narrow) {
      return { width, ...structuredClone(width < NARROW ? meta.narrow : meta.wide) };
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

  function ink(box) {
    return { "font.color": getComputedStyle(box).color };
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

  async function place(box, plot, layout) {
    await Plotly.relayout(plot, { ...fit(layout, box.clientWidth), ...ink(box) });
    await clearLegend(plot, layout);
    box.style.minHeight = "";
  }

  async function draw(box) {
    const figure = read(box);
    const plot = document.createElement("div");
    box.appendChild(plot);
    const layout = structuredClone(figure.layout);
    if (matchMedia("(pointer: coarse)").matches) {
      layout.dragmode = false; // A finger scrolls the page.
    }
    await Plotly.newPlot(plot, figure.data, layout, {
      displayModeBar: false,
    });
    await place(box, plot, figure.layout);
    let width = box.clientWidth;
    new ResizeObserver(() => {
      if (box.clientWidth !== width && box.clientWidth > 0) {
        width = box.clientWidth;
        place(box, plot, figure.layout);
      }
    }).observe(box);
    new MutationObserver(() => Plotly.relayout(plot, ink(box))).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
  }

  /* Deferred scripts, Plotly's among them, have run when this event comes. */
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".hpstudy-figure").forEach(draw);
  });
})();
