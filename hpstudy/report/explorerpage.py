"""The explorer's hands in the browser: it says how wide the page is, and saves files there."""

import re

import anywidget
import traitlets

_SCRIPT = """
function save(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser reads the blob after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Plotly is inside the figure's own widget; its download button is the one way to it.
function picture(root, name, format) {
  const figure = root.querySelector(".hpstudy-pair .js-plotly-plot");
  const { width, height } = figure.getBoundingClientRect();
  figure._context.toImageButtonOptions = {
    format, filename: name, width, height, scale: format === "png" ? 2 : 1,
  };
  figure.querySelector('.modebar-btn[data-title^="Download plot"]').click();
}

function render({ model, el }) {
  const observer = new ResizeObserver(() => {
    if (el.clientWidth > 0 && el.clientWidth !== model.get("width")) {
      model.set("width", el.clientWidth);
      model.save_changes();
    }
  });
  observer.observe(el);
  const act = ({ kind, name, type, text }) => {
    const root = el.closest(".hpstudy-explorer");
    if (kind === "text") save(name, type, text);
    else picture(root, name, kind);
  };
  model.on("msg:custom", act);
  return () => {
    observer.disconnect();
    model.off("msg:custom", act);
  };
}

export default { render };
"""


class ExplorerPage(anywidget.AnyWidget):
    """Invisible widget in the page of an explorer; the class `hpstudy-explorer` marks the latter.

    Attributes
    ----------
    width : int
        Pixels that the explorer has; 0 before it is shown.
    """

    _esm = _SCRIPT
    # What no screen has comes from no browser.
    width = traitlets.Int(0, min=0, max=100_000).tag(sync=True)

    def save_text(self, name: str, kind: str, text: str) -> None:
        """Have the browser save a text as a file.

        Parameters
        ----------
        name : str
            Of the file, made harmless.
        kind : str
            Mime type.
        text : str
            Contents.
        """
        self.send({"kind": "text", "name": file_name(name), "type": kind, "text": text})

    def save_picture(self, name: str, kind: str) -> None:
        """Have the browser save the figure as it is drawn there.

        Parameters
        ----------
        name : str
            Of the file, without its ending, made harmless.
        kind : str
            "png" or "svg".
        """
        self.send({"kind": kind, "name": file_name(name)})


def file_name(text: str) -> str:
    """Text as the name of a file: letters, digits, dots, dashes and underlines only."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.") or "view"
