/* Draws the page's figures with the Plotly script that the book itself serves. */
(() => {
  "use strict";

  const NARROW_LEGEND = 26;

  function read(box) {
    return JSON.parse(box.querySelector('script[type="application/json"]').textContent);
  }

  function paired(pairs, columns) {
    const rows = [];
    for (let first = 1; first <= pairs; first += columns) {
      for (const below of [0, pairs]) {
        rows.push(
          Array.from({ length: columns }, (_, place) => {
            const number = first + place + below;
            const axis = number > 1 ? number : "";
            return first + place <= pairs ? `x${axis}y${axis}` : "";
          }),
        );
      }
    }
    return rows;
  }

  /* Fewer panels beside each other where there is less room; axes and titles follow the grid. */
  function fit(layout, width) {
    const meta = layout.meta || {};
    if (!meta.panels) {
      return { width };
    }
    const { t, b, l, r } = meta.margin;
    const room = Math.floor((width - r) / (meta.panelWidth + l));
    const columns = Math.max(1, Math.min(meta.columns, room));
    /* Panels in pairs: the second of each stands below the first. */
    const pairs = meta.pairs ? meta.panels / 2 : 0;
    const rows = pairs ? 2 * Math.ceil(pairs / columns) : Math.ceil(meta.panels / columns);
    const stacked = meta.panels > 1 && columns === 1;
    const panel = stacked ? Math.max(meta.panelHeight, 0.75 * (width - l - r)) : meta.panelHeight;
    return {
      width,
      height: rows * panel + (rows - 1) * meta.rowGap + t + b,
      "grid.columns": columns,
      "grid.rows": rows,
      ...(pairs && { "grid.subplots": paired(pairs, columns) }),
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
    await Plotly.newPlot(plot, figure.data, structuredClone(figure.layout), {
      displaylogo: false,
      displayModeBar: "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "sendChartToCloud"],
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
