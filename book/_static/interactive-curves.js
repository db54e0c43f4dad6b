/* Learning curves of the runs at one point of an interactive landscape, a line a run. */
const hpstudyCurves = (() => {
  "use strict";

  const { escaped, runsAt } = hpstudyWords;
  /* Okabe and Ito's blue and orange, told apart by the dash as well. */
  const LINES = [{ color: "#0072b2", dash: "solid" }, { color: "#e08214", dash: "dash" }];
  const NAMES = { top1: "top-1 accuracy (%)", train_loss: "training loss" };

  function named(network, point) {
    const runs = runsAt(network, point).length;
    return `${network.title}, ${runs === 1 ? "1 run" : `${runs || "no"} runs`}`;
  }

  function traces(networks, point, name) {
    return networks.flatMap((network, k) =>
      runsAt(network, point).map((run) => {
        const y = network.runs.curves[name][run];
        const seed = `${escaped(network.title)}, seed ${network.runs.seed[run]}`;
        return {
          type: "scatter",
          // Markers, as a run that diverged after an epoch has no line.
          mode: "lines+markers",
          x: y.map((_, epoch) => epoch + 1),
          y,
          line: { ...LINES[k], width: 2 },
          marker: { color: LINES[k].color, size: 3.5 },
          hovertemplate: `${seed}<br>epoch %{x}: %{y}<extra></extra>`,
        };
      }),
    );
  }

  function layout(ink) {
    const axis = hpstudyPanels.axisLook(ink);
    return {
      ...hpstudyPanels.plain(ink, 240, { t: 6, r: 10, b: 42, l: 48 }),
      xaxis: { ...axis, title: { text: "epoch", font: { size: 11 }, standoff: 4 } },
      yaxis: { ...axis },
    };
  }

  return { LINES, NAMES, named, traces, layout };
})();
