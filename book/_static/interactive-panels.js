/* How an interactive landscape is drawn: traces, axes and what is said of a point.
   Axes are logarithms with real values as labels, so that cells end halfway between points. */
const hpstudyPanels = (() => {
  "use strict";

  const { measured, placed } = hpstudyWords;
  const VALUES = "Viridis";
  /* ColorBrewer's PuOr: the left network is ahead where it is orange, the right where purple. */
  const DIFFERENCES = "b35806 e08214 fdb863 fee0b6 f7f7f7 d8daeb b2abd2 8073ac 542788"
    .split(" ")
    .map((colour, k, all) => [k / (all.length - 1), `#${colour}`]);
  /* Symbol, size, colour and line of the marks on points. */
  const MARKS = {
    best: ["star", 16, "#ff9e1b", 1.3, "black"],
    diverged: ["x", 9, "#d62728", 1, "white"],
    stopped: ["line-ew", 10, "#7f7f7f", 2.5, "#7f7f7f"],
  };
  const CHOSEN = "#ff4d00";
  /* Radii of rings and squares around points, in grid steps. */
  const RING = 0.32;
  const SQUARE = 0.44;
  const FAMILY = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";

  const log = (values) => values.map(Math.log10);
  const pick = (values, points) => points.map((k) => values[k]);

  /* Where values are drawn: 0 in a column of its own beside the axis. */
  const places = (axis, points) => log(pick(axis.values, points).map((x) => x || axis.zero));

  const levels = (axis) => [...new Set(axis.values)].sort((a, b) => a - b);

  /* Values as a matrix over the levels of both axes. */
  function cells(data, values) {
    const [up, across] = data.axes.map(levels);
    const z = up.map(() => across.map(() => null));
    const place = (all) => new Map(all.map((level, k) => [level, k]));
    const [row, column] = [place(up), place(across)];
    values.forEach((value, k) => {
      z[row.get(data.axes[0].values[k])][column.get(data.axes[1].values[k])] = value;
    });
    const [y, x] = [up, across].map((all, n) => log(all.map((at) => at || data.axes[n].zero)));
    return { x, y, z };
  }

  function scatter(data, points, more) {
    const [y, x] = data.axes.map((axis) => places(axis, points));
    return { type: "scatter", mode: "markers", x, y, hoverinfo: "skip", ...more };
  }

  /* Marks of several kinds in one trace, which is drawn faster than one a kind. */
  function marks(data, kinds) {
    const all = Object.entries(kinds).flatMap(([kind, points]) => points.map((k) => [k, kind]));
    const [symbol, size, color, width, edge] = [0, 1, 2, 3, 4].map((field) =>
      all.map(([, kind]) => MARKS[kind][field]),
    );
    // Opaque by word: Plotly would let marks of several sizes shine through.
    const marker = { symbol, size, color, opacity: 1, line: { width, color: edge } };
    return scatter(data, all.map(([k]) => k), { marker });
  }

  /* What all panels share: cells of the measured points, the points themselves, marks on them. */
  function traces(data, points, { values, colours, bar, kinds }) {
    return [
      {
        type: "heatmap",
        ...cells(data, values),
        ...colours,
        xgap: 1,
        ygap: 1,
        hoverinfo: "skip",
        colorbar: {
          orientation: "h",
          y: -0.2,
          yanchor: "top",
          thickness: 10,
          len: 1,
          outlinewidth: 0,
          tickfont: { size: 10.5 },
          nticks: 6,
          title: { text: bar, side: "bottom", font: { size: 11 } },
        },
      },
      scatter(data, points, {
        marker: { size: 4, color: "white", line: { width: 0.8, color: "black" } },
        customdata: points,
        // A label of Plotly's would end at the panel's edge; the page has its own.
        hoverinfo: "none",
      }),
      marks(data, kinds),
    ];
  }

  /* Points of a panel: one network's own, or those at which two have a value. */
  function pointsOf(view, networks) {
    const there = (k) => networks.every((network) => network.value[view.metric][k] !== null);
    return networks.length === 1 ? measured(networks[0]) : measured(networks[0]).filter(there);
  }

  /* Closed lines with `corners` corners around points, in one path. */
  function around(data, points, radius, corners) {
    const [up, across] = data.axes.map((axis) => {
      const [low, high] = log(axis.ends);
      const step = (high - low) / levels(axis).length;
      return { at: places(axis, points), r: radius * step };
    });
    const scale = 1 / Math.cos(Math.PI / corners);
    const turns = Array.from({ length: corners }, (_, k) => (Math.PI * (2 * k + 1)) / corners);
    return points
      .map((_, k) => {
        const corner = (turn) => {
          const x = across.at[k] + across.r * scale * Math.cos(turn);
          const y = up.at[k] + up.r * scale * Math.sin(turn);
          return `${x},${y}`;
        };
        return `M${turns.map(corner).join("L")}Z`;
      })
      .join("");
  }

  function ellipsePath(data, region) {
    const logs = data.axes.map((axis) => places(axis, placed(data, region)));
    const found = hpstudyRegions.ellipse(...logs);
    if (!found) {
      return "";
    }
    const [up, across] = hpstudyRegions.outline(found);
    return `M${across.map((x, k) => `${x},${up[k]}`).join("L")}Z`;
  }

  /* A broad line under a narrow one stands out from dark and light colours alike. */
  function lines(name, path, color = "black", dash = "solid") {
    const shape = (line) => ({ type: "path", name, path, line });
    return path ? [shape({ width: 4, color: "white" }), shape({ width: 2, color, dash })] : [];
  }

  /* What follows the slider and the chosen point, as shapes, which are drawn anew in a moment:
     rings around the points of the region (of two networks, of both), ellipses, a square. */
  function shapes(data, view, networks) {
    const values = networks.map((network) => network.value[view.metric]);
    const regions = values.map((one) => hpstudyRegions.region(one, view.threshold));
    // A landscape's best point has its star.
    const star = networks.length === 1 && values[0].some((x) => x !== null);
    const ringed = regions
      .reduce((both, region) => both.filter((k) => region.includes(k)))
      .filter((k) => !(star && k === hpstudyRegions.best(values[0]).point));
    const chosen = pointsOf(view, networks).filter((k) => k === view.point);
    return [
      ...lines("region", around(data, ringed, RING, 24)),
      ...regions.flatMap((region, k) =>
        lines("ellipse", ellipsePath(data, region), "black", k ? "4px,3px" : "solid"),
      ),
      ...lines("chosen", around(data, chosen, SQUARE, 4), CHOSEN),
    ];
  }

  /* One network: coloured by its values, or by their distance from its own best. */
  function landscape(data, view, network) {
    const values = network.value[view.metric];
    const metric = data.metrics[view.metric];
    const relative = view.colour === "relative";
    const [zmin, zmax] = metric[view.colour];
    const top = hpstudyRegions.best(values);
    const points = measured(network);
    const unexplained = (k) => values[k] === null && network.stopped[k] === 0;
    return traces(data, points, {
      values: relative ? hpstudyRegions.fromBest(values) : values,
      colours: { colorscale: VALUES, zmin, zmax },
      bar: relative ? "points from own best" : `${metric.title} (%)`,
      kinds: {
        diverged: points.filter((k) => network.diverged[k] > 0 || unexplained(k)),
        stopped: points.filter((k) => network.stopped[k] > 0),
        best: top ? [top.point] : [],
      },
    });
  }

  /* Two networks: how much closer the right one is to its own best than the left one is. */
  function difference(data, view, left, right) {
    const networks = [left, right];
    const values = hpstudyRegions.difference(...networks.map((one) => one.value[view.metric]));
    const limit = -data.metrics[view.metric].relative[0];
    const points = pointsOf(view, networks);
    return traces(data, points, {
      values,
      colours: { colorscale: DIFFERENCES, zmin: -limit, zmax: limit },
      bar: "points, each from own best",
      kinds: { diverged: [], stopped: [], best: [] },
    });
  }

  function axisLook(ink) {
    return {
      tickfont: { size: 10.5 },
      ticks: "outside",
      ticklen: 4,
      tickcolor: ink,
      showline: true,
      mirror: true,
      linecolor: ink,
      showgrid: false,
      zeroline: false,
      fixedrange: true,
    };
  }

  /* Colours that follow the page's theme. */
  function themed(ink) {
    const axes = ["xaxis", "yaxis"].flatMap((axis) => [
      [`${axis}.tickcolor`, ink],
      [`${axis}.linecolor`, ink],
    ]);
    return { "font.color": ink, ...Object.fromEntries(axes) };
  }

  function plain(ink, height, margin) {
    return {
      height,
      margin,
      autosize: true,
      showlegend: false,
      hovermode: "closest",
      dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: FAMILY, size: 12, color: ink },
    };
  }

  function layout(data, view, networks, ink) {
    const [up, across] = data.axes.map((axis) => ({
      ...axisLook(ink),
      range: log(axis.ends),
      tickvals: log(axis.ticks),
      ticktext: axis.labels,
      tickangle: 0,
      title: { text: axis.title, font: { size: 11 }, standoff: 4 },
    }));
    return {
      ...plain(ink, 300, { t: 6, r: 10, b: 104, l: 58 }),
      xaxis: across,
      yaxis: up,
      shapes: shapes(data, view, networks),
    };
  }

  return { landscape, difference, shapes, layout, plain, axisLook, themed };
})();
