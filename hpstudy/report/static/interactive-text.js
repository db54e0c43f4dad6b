/* What is written about an interactive landscape: settings, fields of a point, rows of a table. */
const hpstudyText = (() => {
  "use strict";

  const { headed, pointsIn, region, runsAt } = hpstudyPanels;

  const fixed = (value, digits = 2) =>
    value === null || value === undefined ? "–" : value.toFixed(digits);

  /* A setting in the fewest characters: 0.0032, 0.1, 1e-5. */
  function real(value) {
    const short = Number(value.toPrecision(3));
    return short < 1e-3 ? short.toExponential() : String(short);
  }

  const settingOf = ({ axes }, point) =>
    axes.map(({ title, values }) => `${title} ${values[point]}`).join(", ");

  /* Fields of one network at one point, its name first: means over seeds, then every run. */
  function fields({ metrics, unit }, network, point) {
    const names = Object.keys(metrics);
    const runs = runsAt(network, point);
    const means = names.map((name) => {
      const { value, std } = network.metrics[name];
      return `${metrics[name].title} ${fixed(value[point])} ${unit}, SD ${fixed(std[point])}, n = ${runs.length}`;
    });
    const run = (k) => {
      const { seed, seconds, diverged, stopped, best_epoch, loss, train_loss } = network.runs;
      return [
        `seed ${seed[k]}, ${fixed(seconds[k], 1)} s`,
        ...(diverged[k] ? ["diverged"] : []),
        ...(stopped[k] ? ["stopped early"] : []),
        ...names.map((name) => `${metrics[name].title} ${fixed(network.runs[name][k])} ${unit}`),
        `best epoch ${fixed(best_epoch[k], 0)}`,
        `loss ${fixed(loss[k], 4)}, training loss ${fixed(train_loss[k], 4)}`,
      ];
    };
    return [
      network.title,
      ...(runs.length > 1 ? means : []),
      ...(runs.length ? runs.flatMap(run) : ["no run"]),
    ];
  }

  /* Rows of the table: words, and a text for each network that is shown. */
  function rows(data, { metric, step }, shown) {
    const { axes, networks } = data;
    const lines = [
      [headed("best", data), ({ value, best }) => fixed(value[best])],
      ...axes.map(({ title, values }) => [`at ${title}`, ({ best }) => values[best] ?? "–"]),
      ["points in the region", (numbers) => String(region(numbers, step).length)],
      ["length of its ellipse (decades)", ({ ellipse }) => fixed(ellipse[step]?.[0])],
      ["width (decades)", ({ ellipse }) => fixed(ellipse[step]?.[1])],
      ...axes.map(({ title }, k) => [
        `centre, ${title}`,
        ({ ellipse }) => (ellipse[step] ? real(10 ** ellipse[step][2 + k]) : "–"),
      ]),
      [`mean risk over the region of ${networks[0].title} (${pointsIn(data)})`, ({ risk }) => fixed(risk[step])],
    ];
    return lines.map(([words, text]) => [words, ...shown.map(({ metrics }) => text(metrics[metric]))]);
  }

  return { fixed, settingOf, fields, rows };
})();
