"""Sphinx extension: pages of the book load Plotly from a copy, and ask no other host for anything.

Scripts that other extensions would load from elsewhere serve features that a static page cannot
use, and are left out.
"""

import shutil
from pathlib import Path
from typing import Any

import plotly

from hpstudy.plots.interactive import INTERACTIVE_CLASS

PLOTLY = "plotly.min.js"
FIGURE_CLASS = "hpstudy-figure"
# In the order in which they need each other.
INTERACTIVE_SCRIPTS = ("interactive-panels.js", "interactive-text.js", "interactive.js")


def setup(app: Any) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.setup_extension("sphinx-mathjax-offline")
    app.connect("config-inited", _configure)
    app.connect("builder-inited", _copy_plotly)
    # Before the theme's handler, which reads the items.
    app.connect("html-page-context", _keep_margin, priority=400)
    # After the handlers that add the scripts to be left out.
    app.connect("html-page-context", _page_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def plotly_script() -> Path:
    """Path of the browser library in the installed package `plotly`."""
    return Path(plotly.__file__).parent / "package_data" / PLOTLY


def _configure(app: Any, config: Any) -> None:
    # Live widgets need a kernel.
    config.nb_ipywidgets_js = {}
    # A figure is in a notebook as HTML for the book, and as JupyterLab wants it, which is skipped.
    config.suppress_warnings = [*config.suppress_warnings, "mystnb.unknown_mime_type"]
    # Jupyter Book puts every script of `_static` on every page; these are for some pages (below).
    config.html_js_files = [
        script for script in config.html_js_files if script not in INTERACTIVE_SCRIPTS
    ]


def _copy_plotly(app: Any) -> None:
    if app.builder.format == "html":
        static = Path(app.outdir) / "_static"
        static.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(plotly_script(), static / PLOTLY)


def _keep_margin(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    # The theme's script needs the margin on a page of wide cells, as the printed book is.
    if app.builder.name == "singlehtml":
        context["theme_secondary_sidebar_items"] = ["page-toc"]


def _page_scripts(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Load Plotly where there is a figure to draw, and no script of another host anywhere."""
    body = context.get("body") or ""
    scripts = [PLOTLY] if FIGURE_CLASS in body or INTERACTIVE_CLASS in body else []
    if INTERACTIVE_CLASS in body:
        scripts += INTERACTIVE_SCRIPTS
    for script in scripts:
        # `defer`: the text can be read while the library, some megabytes, is still loading.
        app.add_js_file(script, defer="defer")
    context["script_files"] = [
        script for script in context.get("script_files", []) if not _is_remote(script)
    ]


def _is_remote(script: Any) -> bool:
    """Whether a script is fetched from another host, or only prepares to fetch one."""
    name = str(getattr(script, "filename", script) or "")
    body = str(getattr(script, "attributes", {}).get("body") or "")
    return "//" in name or "sphinx-thebe" in name or "THEBE_JS_URL" in body
