/* What is written about an interactive landscape: settings, fields of a point, rows of a table. */
const hpstudyText = (() => {
  "use strict";

  const { headed, pointsIn, region, runsAt } = hpstudyPanels;

  const fixed = (value, digits = 2) =>
    value === null || value === undefined ? "–" : value.toFixed(digits);

  /* A level: two decimals in percent, otherwise four significant digits. */
  const level = (value, { unit }) =>
    unit || value === null || value === undefined ? fixed(value) : String(Number(value.toPrecision(4)));

  /* A setting in the fewest characters: 0.0032, 0.1, 1e-5. */
  function real(value) {
    const short = Number(value.toPrecision(3));
    return short < 1e-3 ? short.toExponential() : String(short);
  }

  const settingOf = ({ axes }, point) =>
    axes.map(({ title, values }) => `${title} ${values[point]}`).join(", ");

  /* Fields of one network at one point, its name first: means over seeds, then every run. */
  function fields(data, network, point) {
    const { metrics, unit } = data;
    const names = Object.keys(metrics);
    const runs = runsAt(network, point);
    const means = names.map((name) => {
      const { value, std } = network.metrics[name];
      return `${metrics[name].title} ${level(value[point], data)} ${unit}, SD ${level(std[point], data)}, n = ${runs.length}`;
    });
    const run = (k) => {
      const { seed, seconds, diverged, stopped, best_epoch, loss, train_loss } = network.runs;
      const known = (words, values, digits, unit = "") =>
        values[k] === null ? [] : [`${words} ${fixed(values[k], digits)}${unit}`];
      const lines = [
        [`seed ${seed[k] ?? "–"}`, ...known("", seconds, 1, " s").map((text) => text.trim())],
        diverged[k] ? ["diverged"] : [],
        stopped[k] ? ["stopped early"] : [],
        ...names.map((name) => [`${metrics[name].title} ${level(network.runs[name][k], data)} ${unit}`]),
        known("best epoch", best_epoch, 0),
        [...known("loss", loss, 4), ...known("training loss", train_loss, 4)],
      ];
      return lines.filter((parts) => parts.length).map((parts) => parts.join(", "));
    };
    return [
      network.title,
      ...(runs.length > 1 ? means : []),
      ...(runs.length ? runs.flatMap(run) : ["no run"]),
    ];
  }

  /* Rows of the table: words, and a text for each network that is shown. */
  function rows(data, { metric, step, multiple }, shown) {
    const { axes, networks } = data;
    const reach = (k) => ({ ellipse }) => fixed(ellipse[step] && (ellipse[step][k] * multiple) / 2);
    const lines = [
      [headed("best", data), ({ value, best }) => level(value[best], data)],
      ...axes.map(({ title, values }) => [`at ${title}`, ({ best }) => values[best] ?? "–"]),
      ["points in the region", (numbers) => String(region(numbers, step).length)],
      [`length of its ellipse (decades, ${multiple} SD)`, reach(0)],
      ...(axes.length > 1 ? [[`width (decades, ${multiple} SD)`, reach(1)]] : []),
      ...axes.map(({ title }, k) => [
        `centre, ${title}`,
        ({ ellipse }) => (ellipse[step] ? real(10 ** ellipse[step][2 + k]) : "–"),
      ]),
      [`mean risk over the region of ${networks[0].title} (${pointsIn(data)})`, ({ risk }) => level(risk[step], data)],
    ];
    return lines.map(([words, text]) => [words, ...shown.map(({ metrics }) => text(metrics[metric]))]);
  }

  return { fixed, level, settingOf, fields, rows };
})();
