// Browser side of the explorer: reports the width of the page, and saves files.

function save({ name, type, text }) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function render({ model, el }) {
  const observer = new ResizeObserver(() => {
    if (el.clientWidth > 0 && el.clientWidth !== model.get("width")) {
      model.set("width", el.clientWidth);
      model.save_changes();
    }
  });
  observer.observe(el);
  model.on("msg:custom", save);
  return () => {
    observer.disconnect();
    model.off("msg:custom", save);
  };
}

export default { render };
