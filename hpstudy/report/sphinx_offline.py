"""Sphinx extension: pages of the book ask no other host for anything.

Plotly's script is copied from the installed package and loaded by the pages that have a figure, as
the scripts of interactive landscapes are by those that have one; MathJax comes from
`sphinx-mathjax-offline`; scripts that other extensions would fetch from content delivery networks,
for features that a static page cannot use, are left out.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hpstudy.plots.interactive import INTERACTIVE_CLASS

PLOTLY = "plotly.min.js"
FIGURE_CLASS = "hpstudy-figure"
# In the order in which they need each other.
INTERACTIVE_SCRIPTS = ("interactive-panels.js", "interactive.js")


def setup(app: Any) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.setup_extension("sphinx-mathjax-offline")
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _copy_plotly)
    # After the handlers that add the scripts to be left out.
    app.connect("html-page-context", _page_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def plotly_script() -> Path:
    """Path of the browser library that the installed package `plotly` ships."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the book needs the package plotly")
    return Path(spec.submodule_search_locations[0]) / "package_data" / PLOTLY


def _configure(app: Any, config: Any) -> None:
    # Live widgets need a kernel; their scripts would come from another host for nothing.
    config.nb_ipywidgets_js = {}
    # Every figure is in a notebook twice: as HTML, which the book shows, and as JupyterLab wants
    # it, of which Sphinx would say that it skips it.
    config.suppress_warnings = [*config.suppress_warnings, "mystnb.unknown_mime_type"]
    # Jupyter Book puts every script of `_static` on every page; these are for some (below).
    config.html_js_files = [
        script for script in config.html_js_files if script not in INTERACTIVE_SCRIPTS
    ]


def _copy_plotly(app: Any) -> None:
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    target, source = static / PLOTLY, plotly_script()
    if not target.is_file() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)


def _page_scripts(app: Any, page: str, template: str, context: dict, doctree: Any) -> None:
    """Load Plotly where there is a figure to draw, and no script of another host anywhere."""
    body = context.get("body") or ""
    interactive = INTERACTIVE_CLASS in body
    # `defer`: the text can be read while the library, some megabytes, is still loading.
    if interactive or FIGURE_CLASS in body:
        app.add_js_file(PLOTLY, defer="defer")
    if interactive:
        for script in INTERACTIVE_SCRIPTS:
            app.add_js_file(script, defer="defer")
    context["script_files"] = [
        script for script in context.get("script_files", []) if not _outside(script)
    ]


def _outside(script: Any) -> bool:
    """Whether a script is fetched from another host, or only prepares to fetch one."""
    name = str(getattr(script, "filename", script) or "")
    body = str(getattr(script, "attributes", {}).get("body") or "")
    return "//" in name or "sphinx-thebe" in name or "THEBE_JS_URL" in body
