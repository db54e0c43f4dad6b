/* Traces, axes and shapes of an interactive landscape, from numbers that Python computed.
   Axes are logarithms with real values as labels, so that cells end halfway between points. */
const hpstudyPanels = (() => {
  "use strict";

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
  const GREY = "#7f7f7f";
  /* Radii of rings and squares around points, in grid steps. */
  const RING = 0.32;
  const SQUARE = 0.44;
  const CORNERS = 60;
  const FAMILY = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif";

  const runsAt = ({ runs }, point) => [...runs.point.keys()].filter((k) => runs.point[k] === point);
  const measured = (network) => [...network.seeds.keys()].filter((k) => network.seeds[k] > 0);

  /* Points of a network's region of interest at one step of the slider. */
  const region = ({ enters }, step) =>
    [...enters.keys()].filter((k) => enters[k] !== null && enters[k] <= step);

  const headed = (title, { unit }) => (unit ? `${title} (${unit})` : title);
  const pointsIn = ({ unit }) => (unit ? "points" : "distance");

  const fromBest = ({ value, best }) => value.map((x) => (x === null ? null : x - value[best]));

  /* Colours of a panel, or over one axis the ends of its values. */
  function scaleOf(data, view, networks) {
    const { title, sign = 1, value, relative } = data.metrics[view.metric];
    const reversescale = sign < 0;
    if (networks.length > 1) {
      const limit = Math.max(...relative.map(Math.abs));
      const words = `${pointsIn(data)}, each from own best`;
      return { title: words, colorscale: DIFFERENCES, zmin: -limit, zmax: limit, reversescale };
    }
    const away = view.colour === "relative";
    const [zmin, zmax] = away ? relative : value;
    const words = away ? `${pointsIn(data)} from own best` : headed(title, data);
    return { title: words, colorscale: "Viridis", zmin, zmax, reversescale };
  }

  /* Places of points; over one axis their values go up, and what is worse or unknown is at the end. */
  function scatter({ axes }, points, values, { zmin, zmax, reversescale }, more) {
    const worst = reversescale ? zmax : zmin;
    const level = (value) => Math.min(Math.max(value ?? worst, zmin), zmax);
    const x = points.map((k) => axes.at(-1).places[k]);
    const y = points.map((k) => (axes.length > 1 ? axes[0].places[k] : level(values[k])));
    return { type: "scatter", mode: "markers", x, y, hoverinfo: "skip", ...more };
  }

  /* Cells of the measured points; over one axis a line through them. */
  function ground(data, points, values, scale) {
    if (data.axes.length === 1) {
      const known = points.filter((k) => values[k] !== null);
      return scatter(data, known, values, scale, { mode: "lines", line: { width: 1.5, color: GREY } });
    }
    const [up, across] = data.axes;
    const z = up.levels.map(() => across.levels.map(() => null));
    const [row, column] = [up, across].map(({ levels }) => new Map(levels.map((x, k) => [x, k])));
    values.forEach((value, k) => {
      z[row.get(up.places[k])][column.get(across.places[k])] = value;
    });
    const { title, ...colours } = scale;
    return {
      type: "heatmap",
      x: across.levels,
      y: up.levels,
      z,
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
        title: { text: title, side: "bottom", font: { size: 11 } },
      },
    };
  }

  /* What all panels share: ground, the measured points, marks on them. */
  function traces(data, view, networks, points, values, kinds) {
    const scale = scaleOf(data, view, networks);
    const marked = Object.entries(kinds).flatMap(([kind, at]) => at.map((k) => [k, MARKS[kind]]));
    const [symbol, size, color, width, edge] = [0, 1, 2, 3, 4].map((field) =>
      marked.map(([, mark]) => mark[field]),
    );
    // Over one axis an arrow shows that a level lies beyond the ends.
    const arrow = (x) => (x > scale.zmax ? "triangle-up" : x < scale.zmin ? "triangle-down" : "circle");
    const form =
      data.axes.length > 1 ? { size: 4 } : { size: 7, symbol: points.map((k) => arrow(values[k])) };
    return [
      ground(data, points, values, scale),
      scatter(data, points, values, scale, {
        marker: { color: "white", line: { width: 0.8, color: "black" }, ...form },
        customdata: points,
        // A label of Plotly's would end at the panel's edge; the page has its own.
        hoverinfo: "none",
      }),
      scatter(data, marked.map(([k]) => k), values, scale, {
        // Opaque by word: Plotly would let marks of several sizes shine through.
        marker: { symbol, size, color, opacity: 1, line: { width, color: edge } },
      }),
    ];
  }

  /* Points of a panel: one network's own, or those at which two have a value. */
  function pointsOf({ metric }, networks) {
    const known = (k) => networks.every(({ metrics }) => metrics[metric].value[k] !== null);
    return networks.length === 1 ? measured(networks[0]) : measured(networks[0]).filter(known);
  }

  /* One network: coloured by its values, or by their distance from its own best. */
  function landscape(data, view, network) {
    const numbers = network.metrics[view.metric];
    const points = measured(network);
    const unexplained = (k) => numbers.value[k] === null && network.stopped[k] === 0;
    const values = view.colour === "relative" ? fromBest(numbers) : numbers.value;
    return traces(data, view, [network], points, values, {
      diverged: points.filter((k) => network.diverged[k] > 0 || unexplained(k)),
      stopped: points.filter((k) => network.stopped[k] > 0),
      best: numbers.best === null ? [] : [numbers.best],
    });
  }

  /* Two networks: how much closer the right one is to its own best than the left one is. */
  function difference(data, view, ...networks) {
    const [left, right] = networks.map(({ metrics }) => fromBest(metrics[view.metric]));
    const values = left.map((x, k) => (x === null || right[k] === null ? null : right[k] - x));
    return traces(data, view, networks, pointsOf(view, networks), values, {});
  }

  const turns = (corners, start) =>
    Array.from({ length: corners }, (_, k) => start + (2 * Math.PI * k) / corners);

  const closed = (corners) => `M${corners.map(([x, y]) => `${x},${y}`).join("L")}Z`;

  /* Closed lines with some corners around points, in one path. */
  function around({ axes: [up, across] }, points, radius, corners) {
    const [height, width] = [up, across].map(
      ({ range: [low, high], levels }) =>
        (radius * (high - low)) / levels.length / Math.cos(Math.PI / corners),
    );
    const line = (k) =>
      turns(corners, Math.PI / corners).map((turn) => [
        across.places[k] + width * Math.cos(turn),
        up.places[k] + height * Math.sin(turn),
      ]);
    return points.map((k) => closed(line(k))).join("");
  }

  /* Ellipse of a region at a multiple of its standard deviations. */
  function ellipsePath(ellipse, multiple) {
    if (!ellipse) {
      return "";
    }
    const [length, width] = ellipse.slice(0, 2).map((two) => (two * multiple) / 2);
    const [up, across, angle] = ellipse.slice(2);
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const corners = turns(CORNERS, 0).map((turn) => {
      const [a, b] = [(length / 2) * Math.cos(turn), (width / 2) * Math.sin(turn)];
      return [across + sin * a + cos * b, up + cos * a - sin * b];
    });
    return closed(corners);
  }

  /* A broad line under a narrow one stands out from dark and light colours alike. */
  function lines(name, path, color = "black", dash = "solid", more = {}) {
    const shape = (line) => ({ type: "path", name, path, line, ...more });
    return path ? [shape({ width: 4, color: "white" }), shape({ width: 2, color, dash })] : [];
  }

  /* What follows the slider and the chosen point, as shapes, which are drawn anew in a moment:
     rings around the points of the region (of two networks, of both), ellipses, a square. */
  function shapes(data, view, networks) {
    const numbers = networks.map(({ metrics }) => metrics[view.metric]);
    const chosen = pointsOf(view, networks).filter((k) => k === view.point);
    const dash = (k) => (k ? "4px,3px" : "solid");
    if (data.axes.length === 1) {
      return levelShapes(data, view, numbers, chosen, dash);
    }
    const regions = numbers.map((one) => region(one, view.step));
    // A landscape's best point has its star.
    const ringed = regions
      .reduce((both, other) => both.filter((k) => other.includes(k)))
      .filter((k) => networks.length > 1 || k !== numbers[0].best);
    return [
      ...lines("region", around(data, ringed, RING, 24)),
      ...numbers.flatMap(({ ellipse }, k) =>
        lines("ellipse", ellipsePath(ellipse[view.step], view.multiple), "black", dash(k)),
      ),
      ...lines("chosen", around(data, chosen, SQUARE, 4), CHOSEN),
    ];
  }

  /* The same over one axis: a band of levels, deviations along the lower end, an upright line. */
  function levelShapes(data, view, numbers, chosen, dash) {
    const { sign = 1 } = data.metrics[view.metric];
    const [{ places }] = data.axes;
    const [{ value, best }] = numbers;
    const top = view.colour === "relative" ? 0 : value[best];
    const [across, up] = [{ xref: "paper", x0: 0, x1: 1 }, { yref: "paper" }];
    const levels = { y0: top, y1: top - sign * data.thresholds[view.step] };
    const look = { fillcolor: "rgba(127,127,127,0.18)", line: { width: 0 }, layer: "below" };
    const banded = numbers.length === 1 && best !== null;
    return [
      ...(banded ? [{ type: "rect", name: "region", ...across, ...levels, ...look }] : []),
      ...numbers.flatMap(({ ellipse }, k) => {
        const [length, , centre] = ellipse[view.step] ?? [];
        const half = (length * view.multiple) / 4;
        const path = length && `M${centre - half},${0.05 + k / 20}H${centre + half}`;
        return lines("ellipse", path, "black", dash(k), up);
      }),
      ...lines("chosen", chosen.map((k) => `M${places[k]},0V1`).join(""), CHOSEN, "solid", up),
    ];
  }

  /* Learning curves of the runs at one point, a line a run; the second network's are dashed. */
  function curves(networks, point, name) {
    return networks.flatMap((network, place) =>
      runsAt(network, point).map((run) => {
        const y = network.runs.curves[name][run];
        const color = network.colour;
        return {
          type: "scatter",
          // Markers, as a run that diverged after an epoch has no line.
          mode: "lines+markers",
          x: y.map((_, epoch) => epoch + 1),
          y,
          line: { color, dash: place ? "dash" : "solid", width: 2 },
          marker: { color, size: 3.5 },
          hovertemplate: `seed ${network.runs.seed[run]}, epoch %{x}: %{y}<extra></extra>`,
        };
      }),
    );
  }

  function axisLook(ink, title, more) {
    return {
      title: { text: title, font: { size: 11 }, standoff: 4 },
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
      ...more,
    };
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
    const looks = data.axes.map(({ title, range, ticks, labels }) =>
      axisLook(ink, title, { range, tickvals: ticks, ticktext: labels, tickangle: 0 }),
    );
    const { title, zmin, zmax } = scaleOf(data, view, networks);
    const room = (zmax - zmin) / 12;
    const levels = axisLook(ink, title, { range: [zmin - room, zmax + room], nticks: 7 });
    const [yaxis, xaxis] = [levels, ...looks].slice(-2);
    const margin = { t: 6, r: 10, b: looks.length > 1 ? 104 : 48, l: 58 };
    return { ...plain(ink, 196 + margin.b, margin), xaxis, yaxis, shapes: shapes(data, view, networks) };
  }

  function curvesLayout(ink) {
    const margin = { t: 6, r: 10, b: 42, l: 48 };
    return { ...plain(ink, 240, margin), xaxis: axisLook(ink, "epoch"), yaxis: axisLook(ink, "") };
  }

  /* Colours that follow the page's theme. */
  function themed(ink) {
    const names = ["xaxis", "yaxis"].flatMap((axis) => [`${axis}.tickcolor`, `${axis}.linecolor`]);
    return { "font.color": ink, ...Object.fromEntries(names.map((name) => [name, ink])) };
  }

  return {
    headed,
    pointsIn,
    landscape,
    difference,
    shapes,
    layout,
    curves,
    curvesLayout,
    themed,
    measured,
    region,
    runsAt,
  };
})();
