/* Landscapes that a reader moves: controls, numbers and learning curves around their panels.
   Everything comes from one object of numbers; needs no kernel and asks no other host. */
const hpstudyInteractive = (() => {
  "use strict";

  const { measured, pointsIn, runsAt } = hpstudyPanels;
  const { fields, level, rows, settingOf } = hpstudyText;
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
  const CURVES = { top1: "top-1 accuracy (%)", train_loss: "training loss" };
  const KEY = {
    "•": "measured",
    "⊙": "in the region of interest (of both, in the difference)",
    "○": "ellipse of the region (dashed: right network)",
    "★": "best",
    "✖": "diverged",
    "━": "stopped early",
    "◧": "purple: right network nearer to its own best than the left",
  };
  /* What differs over one axis. */
  const KEY_OF_LEVELS = {
    "⊙": "",
    "○": "",
    "▒": "levels of the region of interest",
    "▬": "extent of the region (dashed: right network)",
    "◧": "",
    "△": "beyond the end of the scale",
  };
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
    /* `data` are what Python computed, `view` what is shown first, and `follow` hears of changes. */
    constructor(box, data, view = {}, follow = () => {}) {
      this.box = box;
      this.data = data;
      this.id = `hpstudy-interactive-${(boxes += 1)}`;
      this.view = {
        left: 0,
        right: data.networks.length - 1,
        metric: Object.keys(data.metrics)[0],
        colour: "value",
        step: data.start,
        multiple: 2,
        point: null,
        ...view,
      };
      this.changed = () => follow(this.view);
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
      const controls = element("div", { class: "controls" }, [
        this.choice("left", "left network", networks),
        this.choice("right", "right network", networks),
        this.choice("metric", "metric", metrics),
        this.choice("colour", "colour", Object.entries(COLOURS)),
        this.slider(),
      ]);
      const marks = this.data.axes.length > 1 ? KEY : { ...KEY, ...KEY_OF_LEVELS };
      const key = Object.entries(marks).filter(([, words]) => words).map(([mark, words]) =>
        element("span", {}, [element("span", { "aria-hidden": "true" }, [mark]), ` ${words}`]),
      );
      this.panels = PANELS.map((name) => this.panel(name));
      this.curves = Object.keys(CURVES).map((name) => this.panel(name));
      this.table = element("table");
      this.facts = element("div", { class: "panels fields" });
      this.tip = element("div", { class: "tip", hidden: "" });
      this.legend = element("p", { class: "legend", "aria-live": "polite" });
      this.curvesRow = element("div", { class: "panels curves" }, this.figures(this.curves));
      this.box.replaceChildren(
        controls,
        element("div", { class: "panels" }, this.figures(this.panels)),
        element("p", { class: "key" }, key),
        element("div", { class: "hpstudy-table", "aria-live": "polite" }, [this.table]),
        element("div", { class: "controls" }, [this.pointChoice()]),
        this.legend,
        this.curvesRow,
        this.facts,
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
        this.view[name] = typeof this.view[name] === "number" ? Number(input.value) : input.value;
        this.draw(CHANGES[name]);
        this.changed();
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
      const { thresholds } = this.data;
      const best = this.data.unit ? "points from the best" : "from the best";
      const ends = { min: 0, max: thresholds.length - 1, step: 1 };
      const words = ["region of interest: at most ", ` ${best}`];
      const spoken = (text) => `${text} ${pointsIn(this.data)}`;
      return this.range("threshold", "step", ends, words, (step) => thresholds[step], spoken);
    }

    /* A slider that moves one part of the view. */
    range(name, part, ends, [before, after], text, spoken) {
      const input = element("input", { type: "range", name, ...ends });
      const output = element("output");
      const say = () => {
        output.textContent = text(Number(input.value));
        input.setAttribute("aria-valuetext", spoken(output.textContent));
      };
      input.value = this.view[part];
      say();
      let waiting = false;
      input.addEventListener("input", () => {
        say();
        if (!waiting) {
          waiting = true;
          requestAnimationFrame(() => {
            waiting = false;
            this.view[part] = Number(input.value);
            this.update();
            this.tabulate();
            this.changed();
          });
        }
      });
      return this.labelled(name, [before, output, after], input);
    }

    panel(name) {
      const plot = element("div", { role: "img", "data-panel": name });
      return { name, title: element("figcaption"), plot };
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
        plot.setAttribute("aria-label", `${metric}, ${titles[name]}`);
        const networks = this.networksOf(name);
        const kind = name === "difference" ? "difference" : "landscape";
        const traces = hpstudyPanels[kind](this.data, this.view, ...networks);
        const layout = hpstudyPanels.layout(this.data, this.view, networks, inkOf(this.box));
        const fresh = !plot.data;
        Plotly.react(plot, traces, layout, CONFIG);
        if (fresh) {
          plot.on("plotly_click", ({ points }) => this.choose(points[0].customdata));
          plot.on("plotly_hover", ({ points, event }) =>
            this.showTip(name, points[0].customdata, event),
          );
          plot.on("plotly_unhover", () => (this.tip.hidden = true));
        }
      });
      this.tabulate();
      this.offerPoints();
    }

    /* All fields of a point beside the pointer, within the figure. */
    showTip(name, point, { clientX, clientY }) {
      const networks = [...new Set(this.networksOf(name))];
      const setting = element("div", {}, [settingOf(this.data, point)]);
      this.tip.replaceChildren(setting, ...networks.map((network) => this.factsOf(network, point)));
      this.tip.hidden = false;
      const { left, top } = this.box.getBoundingClientRect();
      const room = this.box.clientWidth - this.tip.offsetWidth;
      this.tip.style.left = `${Math.max(0, Math.min(clientX - left + 14, room))}px`;
      this.tip.style.top = `${clientY - top + 18}px`;
    }

    factsOf(network, point) {
      const [title, ...lines] = fields(this.data, network, point);
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

    choose(point) {
      this.view.point = point;
      this.update();
      this.points.value = point ?? "";
      this.drawCurves();
    }

    /* --- numbers ---------------------------------------------------------------------------- */

    tabulate() {
      const head = ["", ...this.shown.map((network) => network.title)];
      const cell = (text) => element("td", { class: "number" }, [text]);
      const row = ([words, ...texts]) =>
        element("tr", {}, [element("th", { scope: "row" }, [words]), ...texts.map(cell)]);
      const titles = head.map((text) => element("th", text ? { scope: "col" } : {}, [text]));
      this.table.replaceChildren(
        element("thead", {}, [element("tr", {}, titles)]),
        element("tbody", {}, rows(this.data, this.view, this.shown).map(row)),
      );
    }

    /* --- learning curves -------------------------------------------------------------------- */

    offerPoints() {
      const points = [...new Set(this.shown.flatMap(measured))].sort((a, b) => a - b);
      const options = points.map((k) => {
        const values = this.shown.map(({ metrics }) =>
          level(metrics[this.view.metric].value[k], this.data),
        );
        return [k, `${settingOf(this.data, k)}: ${values.join(", ")}`];
      });
      fill(this.points, [["", "click a point, or choose it here"], ...options], this.view.point ?? "");
    }

    drawCurves() {
      const { point } = this.view;
      const networks = [...new Set(this.shown)];
      const known = ({ runs }, run) => Object.keys(CURVES).some((name) => runs.curves[name][run].length);
      this.curvesRow.hidden = !networks.some((one) => runsAt(one, point).some((run) => known(one, run)));
      this.legend.replaceChildren();
      this.facts.replaceChildren();
      if (point === null) {
        return;
      }
      const setting = settingOf(this.data, point);
      this.facts.append(...networks.map((network) => this.factsOf(network, point)));
      this.legend.append(`${setting}: `);
      networks.forEach((network, k) => {
        const line = element("span", { "aria-hidden": "true", class: `line ${k ? "dash" : "solid"}` });
        line.style.color = network.colour;
        const name = `${network.title} (n = ${runsAt(network, point).length})`;
        this.legend.append(element("span", {}, [line, name]));
      });
      const curves = this.curvesRow.hidden ? [] : this.curves;
      curves.forEach(({ name, title, plot }) => {
        title.textContent = CURVES[name];
        plot.setAttribute("aria-label", `${CURVES[name]} over epochs, ${setting}`);
        const traces = hpstudyPanels.curves(networks, point, name);
        Plotly.react(plot, traces, hpstudyPanels.curvesLayout(inkOf(this.box)), CONFIG);
      });
    }

    /* --- the page around -------------------------------------------------------------------- */

    follow() {
      const plots = [...this.panels, ...this.curves].map(({ plot }) => plot);
      const drawn = () => plots.filter((plot) => plot.data && plot.isConnected);
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
    document.querySelectorAll(".hpstudy-interactive").forEach((box) => {
      const text = box.querySelector('script[type="application/json"]').textContent;
      new Interactive(box, JSON.parse(text));
    });
  });

  return Interactive;
})();
