/* What is said of a point of an interactive landscape, and how numbers are written. */
const hpstudyWords = (() => {
  "use strict";

  /* Plotly reads some markup in texts; names of networks come from tables. */
  const escaped = (text) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  /* A setting in the fewest characters: 0.0032, 0.1, 1e-5. */
  function real(value) {
    const short = Number(value.toPrecision(3));
    return short !== 0 && short < 1e-3 ? short.toExponential() : String(short);
  }

  const fixed = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));

  function setting(data, point) {
    return data.axes.map((axis) => `${axis.title} ${real(axis.values[point])}`).join(", ");
  }

  /* Points with a place on all axes: none of their values is 0. */
  const placed = (data, points) =>
    points.filter((k) => data.axes.every((axis) => axis.values[k] > 0));

  const measured = (network) => [...network.seeds.keys()].filter((k) => network.seeds[k] > 0);

  function runsAt(network, point) {
    return [...network.runs.point.keys()].filter((k) => network.runs.point[k] === point);
  }

  /* Lines on one run. */
  function runLines(data, { runs }, k) {
    const accuracies = Object.keys(data.metrics).map(
      (name) => `${data.metrics[name].title} ${fixed(runs[name][k])} %`,
    );
    const fate = [
      ...(runs.diverged[k] ? ["diverged"] : []),
      ...(runs.stopped[k] ? ["stopped early"] : []),
    ];
    return [
      [`seed ${runs.seed[k]}`, `${fixed(runs.seconds[k], 1)} s`, ...fate].join(", "),
      ...accuracies,
      `best epoch ${fixed(runs.best_epoch[k], 0)}`,
      `loss ${fixed(runs.loss[k], 4)}, training loss ${fixed(runs.train_loss[k], 4)}`,
    ];
  }

  /* Lines on all there is to know of one network at one point, its name first. */
  function pointLines(data, network, point) {
    const runs = runsAt(network, point);
    const means = Object.keys(data.metrics).map((name) => {
      const std = network.std[name][point];
      const spread = std === null ? "" : `, SD ${fixed(std)}`;
      const value = fixed(network.value[name][point]);
      return `${data.metrics[name].title} ${value} %${spread}, n = ${runs.length}`;
    });
    return [
      network.title,
      ...(runs.length > 1 ? means : []),
      ...runs.flatMap((k) => runLines(data, network, k)),
      ...(runs.length ? [] : ["no run"]),
    ];
  }

  return { escaped, fixed, real, setting, placed, measured, runsAt, pointLines };
})();
