/* The numbers under an interactive landscape, for each network that it shows. */
const hpstudyNumbers = (() => {
  "use strict";

  const { fixed, placed, real } = hpstudyWords;

  function numbersOf(data, { metric, threshold }, network) {
    const values = network.value[metric];
    const region = hpstudyRegions.region(values, threshold);
    const inside = placed(data, region);
    const logs = data.axes.map((axis) => inside.map((k) => Math.log10(axis.values[k])));
    const dense = data.networks[0].value[metric];
    return {
      top: hpstudyRegions.best(values),
      region,
      ellipse: hpstudyRegions.ellipse(...logs),
      risk: hpstudyRegions.risk(dense, values, threshold),
    };
  }

  /* Rows of a table: words, and a text for each network. */
  function rows(data, view, networks) {
    const columns = networks.map((network) => numbersOf(data, view, network));
    const { axes } = data;
    return [
      ["best (%)", ({ top }) => fixed(top && top.value)],
      ...axes.map(({ title, values }) => [
        `at ${title}`,
        ({ top }) => (top ? real(values[top.point]) : "–"),
      ]),
      ["points in the region", ({ region }) => String(region.length)],
      ["length of its ellipse (decades)", ({ ellipse }) => fixed(ellipse && ellipse.length)],
      ["width (decades)", ({ ellipse }) => fixed(ellipse && ellipse.width)],
      ...axes.map(({ title }, k) => [
        `centre, ${title}`,
        ({ ellipse }) => (ellipse ? real(10 ** ellipse.centre[k]) : "–"),
      ]),
      [
        `mean risk over the region of ${data.networks[0].title} (points)`,
        ({ risk }) => fixed(risk.mean),
      ],
    ].map(([words, text]) => [words, columns.map(text)]);
  }

  return { rows };
})();
