"""Figures: `plot_<noun>` returns a Plotly figure.

No function shows, writes or prints anything, or changes a global state.
"""

from importlib import import_module
from typing import Any

_FIGURES = {
    "plot_answers": "retuning",
    "plot_calibration": "retuning",
    "plot_cells": "cells",
    "plot_channels": "channels",
    "plot_contours": "thesis_figures",
    "plot_differences": "cell_maps",
    "plot_forest": "forest",
    "plot_guesses": "retuning",
    "plot_grid": "thesis_figures",
    "plot_latency": "latency",
    "plot_learning_curves": "learning_curves",
    "plot_pareto": "pareto",
    "plot_pooled_regret": "risk",
    "plot_regret": "risk",
    "plot_risk": "risk",
    "plot_roi_probability": "cell_maps",
}
__all__ = list(_FIGURES)


def __getattr__(name: str) -> Any:
    if name in _FIGURES:
        return getattr(import_module(f"hpstudy.plots.{_FIGURES[name]}"), name)
    raise AttributeError(f"module 'hpstudy.plots' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
