// Browser side of the explorer: the landscapes of the book's pages, and files of what they show.

// Parts of the view that the kernel follows.
const FOLLOWED = ["left", "right", "metric", "step", "multiple"];
const SCALE = 2;
const HEAD = 24;

function loadPlotly() {
  if (!window.Plotly) {
    const script = document.createElement("script");
    script.textContent = PLOTLY;
    document.head.append(script);
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// The three panels beside each other under their titles.
async function picture({ panels }) {
  const canvas = document.createElement("canvas");
  const sizes = panels.map(({ plot }) => ({ width: plot.clientWidth, height: plot.clientHeight }));
  canvas.width = SCALE * sizes.reduce((sum, { width }) => sum + width, 0);
  canvas.height = SCALE * (HEAD + Math.max(...sizes.map(({ height }) => height)));
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(SCALE, SCALE);
  context.fillStyle = "black";
  context.font = "600 13px sans-serif";
  context.textAlign = "center";
  let left = 0;
  for (const [k, { plot, title }] of panels.entries()) {
    const image = new Image();
    image.src = await Plotly.toImage(plot, { format: "png", scale: SCALE, ...sizes[k] });
    await image.decode();
    context.fillText(title.textContent, left + sizes[k].width / 2, HEAD - 8);
    context.drawImage(image, left, HEAD, sizes[k].width, sizes[k].height);
    left += sizes[k].width;
  }
  return new Promise((done) => canvas.toBlob(done));
}

function render({ model, el }) {
  let figure;
  loadPlotly();
  function follow(view) {
    FOLLOWED.forEach((part) => model.set(part, view[part]));
    model.save_changes();
  }
  function draw() {
    const box = document.createElement("div");
    box.className = "hpstudy-interactive";
    el.replaceChildren(box);
    const view = Object.fromEntries(FOLLOWED.map((part) => [part, model.get(part)]));
    figure = new hpstudyInteractive(box, model.get("runs"), { ...view, colour: "relative" }, follow);
    const ends = { min: 0.5, max: 3, step: 0.05 };
    const words = ["ellipse: ", " standard deviations"];
    const slider = figure.range("multiple", "multiple", ends, words, String, String);
    const button = document.createElement("button");
    button.textContent = "PNG";
    button.addEventListener("click", async () => save(await picture(figure), "landscapes.png"));
    box.querySelector(".controls").append(slider, button);
  }
  const receive = ({ name, type, text }) => save(new Blob([text], { type }), name);
  draw();
  model.on("change:runs", draw);
  model.on("msg:custom", receive);
  return () => {
    model.off("change:runs", draw);
    model.off("msg:custom", receive);
  };
}

export default { render };
