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

  function scatter({ axes: [up, across] }, points, more) {
    const [x, y] = [across, up].map(({ places }) => points.map((k) => places[k]));
    return { type: "scatter", mode: "markers", x, y, hoverinfo: "skip", ...more };
  }

  /* What all panels share: cells of the measured points, the points themselves, marks on them. */
  function traces(data, points, values, colours, title, kinds) {
    const [up, across] = data.axes;
    const z = up.levels.map(() => across.levels.map(() => null));
    values.forEach((value, k) => {
      z[up.levels.indexOf(up.places[k])][across.levels.indexOf(across.places[k])] = value;
    });
    const marked = Object.entries(kinds).flatMap(([kind, at]) => at.map((k) => [k, MARKS[kind]]));
    const [symbol, size, color, width, edge] = [0, 1, 2, 3, 4].map((field) =>
      marked.map(([, mark]) => mark[field]),
    );
    return [
      {
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
      },
      scatter(data, points, {
        marker: { size: 4, color: "white", line: { width: 0.8, color: "black" } },
        customdata: points,
        // A label of Plotly's would end at the panel's edge; the page has its own.
        hoverinfo: "none",
      }),
      scatter(data, marked.map(([k]) => k), {
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
    const metric = data.metrics[view.metric];
    const relative = view.colour === "relative";
    const [zmin, zmax] = metric[view.colour];
    const points = measured(network);
    const unexplained = (k) => numbers.value[k] === null && network.stopped[k] === 0;
    const title = relative ? `${pointsIn(data)} from own best` : headed(metric.title, data);
    const colours = { colorscale: "Viridis", zmin, zmax };
    return traces(data, points, relative ? fromBest(numbers) : numbers.value, colours, title, {
      diverged: points.filter((k) => network.diverged[k] > 0 || unexplained(k)),
      stopped: points.filter((k) => network.stopped[k] > 0),
      best: numbers.best === null ? [] : [numbers.best],
    });
  }

  /* Two networks: how much closer the right one is to its own best than the left one is. */
  function difference(data, view, ...networks) {
    const [left, right] = networks.map(({ metrics }) => fromBest(metrics[view.metric]));
    const values = left.map((x, k) => (x === null || right[k] === null ? null : right[k] - x));
    const limit = -data.metrics[view.metric].relative[0];
    const colours = { colorscale: DIFFERENCES, zmin: -limit, zmax: limit };
    const points = pointsOf(view, networks);
    return traces(data, points, values, colours, `${pointsIn(data)}, each from own best`, {});
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

  function ellipsePath(ellipse) {
    if (!ellipse) {
      return "";
    }
    const [length, width, up, across, angle] = ellipse;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const corners = turns(CORNERS, 0).map((turn) => {
      const [a, b] = [(length / 2) * Math.cos(turn), (width / 2) * Math.sin(turn)];
      return [across + sin * a + cos * b, up + cos * a - sin * b];
    });
    return closed(corners);
  }

  /* A broad line under a narrow one stands out from dark and light colours alike. */
  function lines(name, path, color = "black", dash = "solid") {
    const shape = (line) => ({ type: "path", name, path, line });
    return path ? [shape({ width: 4, color: "white" }), shape({ width: 2, color, dash })] : [];
  }

  /* What follows the slider and the chosen point, as shapes, which are drawn anew in a moment:
     rings around the points of the region (of two networks, of both), ellipses, a square. */
  function shapes(data, view, networks) {
    const numbers = networks.map(({ metrics }) => metrics[view.metric]);
    const regions = numbers.map((one) => region(one, view.step));
    // A landscape's best point has its star.
    const ringed = regions
      .reduce((both, other) => both.filter((k) => other.includes(k)))
      .filter((k) => networks.length > 1 || k !== numbers[0].best);
    const chosen = pointsOf(view, networks).filter((k) => k === view.point);
    return [
      ...lines("region", around(data, ringed, RING, 24)),
      ...numbers.flatMap(({ ellipse }, k) =>
        lines("ellipse", ellipsePath(ellipse[view.step]), "black", k ? "4px,3px" : "solid"),
      ),
      ...lines("chosen", around(data, chosen, SQUARE, 4), CHOSEN),
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
    const [yaxis, xaxis] = data.axes.map(({ title, range, ticks, labels }) =>
      axisLook(ink, title, { range, tickvals: ticks, ticktext: labels, tickangle: 0 }),
    );
    const margin = { t: 6, r: 10, b: 104, l: 58 };
    return { ...plain(ink, 300, margin), xaxis, yaxis, shapes: shapes(data, view, networks) };
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
