/* A landscape to hold in the hand: controls, numbers and learning curves around its panels.
   Everything comes from the JSON in the page; needs no kernel and asks no other host. */
(() => {
  "use strict";

  const { fixed, measured, pointLines, setting } = hpstudyWords;
  const { LINES } = hpstudyCurves;
  const CONFIG = { displayModeBar: false, responsive: false };
  const COLOURS = { value: "value", relative: "distance from own best" };
  const PANELS = ["left", "right", "difference"];
  /* Panels that a choice changes. */
  const CHANGES = {
    left: ["left", "difference"],
    right: ["right", "difference"],
    metric: PANELS,
    colour: ["left", "right"],
  };
  const MARKS = [
    ["•", "measured"],
    ["⊙", "in the region of interest (of both, in the difference)"],
    ["○", "its ellipse, two standard deviations (dashed: the right network's)"],
    ["★", "best"],
    ["✖", "diverged"],
    ["━", "stopped early"],
    ["◧", "difference: purple where the right network is nearer to its own best than the left"],
  ];
  let boxes = 0;

  function element(name, attributes = {}, children = []) {
    const made = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.append(...children);
    return made;
  }

  function fill(select, options, chosen) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, [text])));
    select.value = chosen;
  }

  const inkOf = (box) => getComputedStyle(box).color;

  class Interactive {
    constructor(box) {
      this.box = box;
      this.data = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
      this.id = `hpstudy-interactive-${(boxes += 1)}`;
      this.view = {
        left: 0,
        right: this.data.networks.length - 1,
        metric: Object.keys(this.data.metrics)[0],
        colour: "value",
        threshold: this.data.threshold,
        point: null,
      };
      this.build();
      this.draw(PANELS);
      this.drawCurves();
      this.follow();
    }

    get shown() {
      return [this.data.networks[this.view.left], this.data.networks[this.view.right]];
    }

    /* --- parts ------------------------------------------------------------------------------ */

    build() {
      const networks = this.data.networks.map((network, k) => [k, network.title]);
      const metrics = Object.entries(this.data.metrics).map(([name, { title }]) => [name, title]);
      this.controls = element("div", { class: "controls" }, [
        this.choice("left", "left network", networks),
        this.choice("right", "right network", networks),
        this.choice("metric", "metric", metrics),
        this.choice("colour", "colour", Object.entries(COLOURS)),
        this.slider(),
      ]);
      this.panels = PANELS.map((name) => this.panel(name));
      const key = element(
        "p",
        { class: "key" },
        MARKS.map(([mark, words]) =>
          element("span", {}, [element("span", { "aria-hidden": "true" }, [mark]), ` ${words}`]),
        ),
      );
      this.table = element("table");
      const numbers = element("div", { class: "hpstudy-table", "aria-live": "polite" }, [this.table]);
      this.curves = Object.keys(hpstudyCurves.NAMES).map((name) => this.panel(name));
      this.told = element("div", { class: "panels told" });
      this.tip = element("div", { class: "tip", hidden: "" });
      this.legend = element("p", { class: "legend", "aria-live": "polite" });
      this.curvesRow = element("div", { class: "panels curves" }, this.figures(this.curves));
      this.box.querySelector(".fallback").remove();
      this.box.append(
        this.controls,
        element("div", { class: "panels" }, this.figures(this.panels)),
        key,
        numbers,
        element("div", { class: "controls" }, [this.pointChoice()]),
        this.legend,
        this.curvesRow,
        this.told,
        this.tip,
      );
    }

    labelled(name, words, input) {
      input.id = `${this.id}-${name}`;
      return element("div", {}, [element("label", { for: input.id }, words), input]);
    }

    choice(name, words, options) {
      const input = element("select", { name });
      fill(input, options, this.view[name]);
      input.addEventListener("change", () => {
        this.view[name] = input.value;
        this.draw(CHANGES[name]);
        if (name === "left" || name === "right") {
          this.drawCurves();
        }
      });
      return this.labelled(name, [words], input);
    }

    /* The way to a point's learning curves without a mouse. */
    pointChoice() {
      this.points = element("select", { name: "point" });
      this.points.addEventListener("change", () => {
        this.choose(this.points.value === "" ? null : Number(this.points.value));
      });
      return this.labelled("point", ["learning curves at"], this.points);
    }

    slider() {
      const ends = { min: 0.1, max: this.data.largest, step: 0.05 };
      const input = element("input", { type: "range", name: "threshold", ...ends });
      input.value = this.view.threshold;
      // What the range made of it: a study may ask for a region outside of it.
      this.view.threshold = Number(input.value);
      this.said = element("output", {}, [input.value]);
      let waiting = false;
      input.addEventListener("input", () => {
        this.said.textContent = input.value;
        if (!waiting) {
          waiting = true;
          requestAnimationFrame(() => {
            waiting = false;
            this.view.threshold = Number(input.value);
            this.moveRegion();
          });
        }
      });
      return this.labelled(
        "threshold",
        ["region of interest: at most ", this.said, " points below the best"],
        input,
      );
    }

    panel(name) {
      return {
        name,
        title: element("figcaption"),
        plot: element("div", { role: "img", "data-panel": name }),
      };
    }

    figures(panels) {
      return panels.map(({ title, plot }) => element("figure", {}, [title, plot]));
    }

    /* --- drawing ---------------------------------------------------------------------------- */

    networksOf(name) {
      const [left, right] = this.shown;
      return { left: [left], right: [right], difference: [left, right] }[name];
    }

    /* Draw the panels of these names anew, and what stands under them. */
    draw(names) {
      const metric = this.data.metrics[this.view.metric].title;
      const [left, right] = this.shown.map((network) => network.title);
      const titles = { left, right, difference: "Difference, right − left" };
      this.panels.filter(({ name }) => names.includes(name)).forEach(({ name, title, plot }) => {
        title.textContent = titles[name];
        plot.setAttribute("aria-label", `${metric}, ${titles[name]}; in numbers in the table below`);
        const networks = this.networksOf(name);
        const kind = name === "difference" ? "difference" : "landscape";
        const traces = hpstudyPanels[kind](this.data, this.view, ...networks);
        const layout = hpstudyPanels.layout(this.data, this.view, networks, inkOf(this.box));
        const fresh = !plot.data;
        Plotly.react(plot, traces, layout, CONFIG);
        if (fresh) {
          plot.on("plotly_click", ({ points }) => this.choose(points[0].customdata));
          plot.on("plotly_hover", ({ points, event }) =>
            this.tell(name, points[0].customdata, event),
          );
          plot.on("plotly_unhover", () => (this.tip.hidden = true));
        }
      });
      this.tabulate();
      this.offerPoints();
    }

    /* All fields of a point beside the pointer, within the figure. */
    tell(name, point, { clientX, clientY }) {
      const networks = [...new Set(this.networksOf(name))];
      this.tip.replaceChildren(
        element("div", {}, [setting(this.data, point)]),
        ...networks.map((network) => this.facts(network, point)),
      );
      this.tip.hidden = false;
      const { left, top } = this.box.getBoundingClientRect();
      const room = this.box.clientWidth - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(0, Math.min(clientX - left + 14, room))}px`;
      this.tip.style.top = `${clientY - top + 18}px`;
    }

    facts(network, point) {
      const [title, ...lines] = pointLines(this.data, network, point);
      const parts = lines.map((line) => element("div", {}, [line]));
      return element("div", { class: "facts" }, [element("strong", {}, [title]), ...parts]);
    }

    /* Only the shapes: all else of a panel stays as it is drawn. */
    update() {
      this.panels.forEach(({ name, plot }) => {
        const shapes = hpstudyPanels.shapes(this.data, this.view, this.networksOf(name));
        Plotly.relayout(plot, { shapes });
      });
    }

    moveRegion() {
      this.update();
      this.tabulate();
    }

    choose(point) {
      this.view.point = point;
      this.update();
      this.points.value = point ?? "";
      this.drawCurves();
    }

    /* --- numbers ---------------------------------------------------------------------------- */

    tabulate() {
      const rows = hpstudyNumbers.rows(this.data, this.view, this.shown);
      const cell = (text) => element("td", { class: "number" }, [text]);
      const head = ["", ...this.shown.map((network) => network.title)];
      this.table.replaceChildren(
        element("thead", {}, [
          element("tr", {}, head.map((text) => element("th", text ? { scope: "col" } : {}, [text]))),
        ]),
        element(
          "tbody",
          {},
          rows.map(([words, values]) =>
            element("tr", {}, [element("th", { scope: "row" }, [words]), ...values.map(cell)]),
          ),
        ),
      );
    }

    /* --- learning curves -------------------------------------------------------------------- */

    offerPoints() {
      const points = this.shown.flatMap(measured);
      const options = [...new Set(points)].sort((a, b) => a - b).map((k) => {
        const values = this.shown.map((network) => fixed(network.value[this.view.metric][k]));
        return [k, `${setting(this.data, k)}: ${values.join(" and ")}`];
      });
      const none = ["", "a point: click it, or choose it here"];
      fill(this.points, [none, ...options], this.view.point ?? "");
    }

    drawCurves() {
      const { point } = this.view;
      this.curvesRow.hidden = point === null;
      this.legend.replaceChildren();
      this.told.replaceChildren();
      if (point === null) {
        return;
      }
      const networks = [...new Set(this.shown)];
      this.told.append(...networks.map((network) => this.facts(network, point)));
      this.legend.append(`At ${setting(this.data, point)}: `);
      networks.forEach((network, k) => {
        const line = element("span", { "aria-hidden": "true", class: `line ${LINES[k].dash}` });
        line.style.color = LINES[k].color;
        this.legend.append(element("span", {}, [line, hpstudyCurves.named(network, point)]));
      });
      this.curves.forEach(({ name, title, plot }) => {
        const words = hpstudyCurves.NAMES[name];
        title.textContent = words;
        plot.setAttribute("aria-label", `${words} over epochs, ${setting(this.data, point)}`);
        const lines = hpstudyCurves.traces(networks, point, name);
        Plotly.react(plot, lines, hpstudyCurves.layout(inkOf(this.box)), CONFIG);
      });
    }

    /* --- the page around -------------------------------------------------------------------- */

    follow() {
      const plots = [...this.panels, ...this.curves].map(({ plot }) => plot);
      const drawn = () => plots.filter((plot) => plot.data);
      let width = this.box.clientWidth;
      new ResizeObserver(() => {
        if (this.box.clientWidth !== width && this.box.clientWidth > 0) {
          width = this.box.clientWidth;
          drawn().filter((plot) => plot.offsetParent).forEach((plot) => Plotly.Plots.resize(plot));
        }
      }).observe(this.box);
      new MutationObserver(() => {
        const colours = hpstudyPanels.themed(inkOf(this.box));
        drawn().forEach((plot) => Plotly.relayout(plot, colours));
      }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    }
  }

  /* Deferred scripts, Plotly's among them, have run when this event comes. */
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".hpstudy-interactive").forEach((box) => new Interactive(box));
  });
})();
