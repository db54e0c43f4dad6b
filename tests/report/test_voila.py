"""The explorer as a Voila app, used in a real browser, on loopback only."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from browser import chromium

from hpstudy.analysis.study_results import read_study
from hpstudy.plots.labels import variant_title

pytestmark = pytest.mark.browser

STUDY = "synthetic-resnet56"
FIGURE = ".hpstudy-pair .js-plotly-plot"
# Voila's page asks for these icons, of which the explorer shows none.
ICONS = re.compile(r"https://cdn\.jsdelivr\.net/npm/@fortawesome/fontawesome-free@")


@pytest.fixture(scope="module")
def study(explorer):
    return SimpleNamespace(results=read_study(STUDY, [explorer.clone / "runs/book/results"]))


@pytest.fixture(scope="module")
def visit(explorer):
    """The page in a browser that is let through to the server alone."""
    outside, sockets = [], []

    def gate(route):
        url = route.request.url
        if url.startswith((explorer.address, "data:", "blob:")):
            route.continue_()
        else:
            outside.append(url)
            route.abort()

    with chromium() as browser:
        context = browser.new_context(viewport={"width": 1100, "height": 1500})
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.route("**/*", gate)
        tab.on("websocket", lambda opened: sockets.append(opened.url))
        # A busy machine may need longer to read Plotly than anywidget waits for a widget (2 s).
        for _ in range(3):
            failed = []
            tab.on("pageerror", lambda error, failed=failed: failed.append(str(error)))
            tab.goto(explorer.address)
            tab.wait_for_selector(f"{FIGURE} .trace.scatter, .jupyter-widgets-error-widget")
            tab.wait_for_timeout(1000)
            if not failed:
                break
        tab.wait_for_function(f"document.querySelector('{FIGURE}').layout.width > 700")
        yield SimpleNamespace(tab=tab, outside=outside, sockets=sockets, failed=failed)


def ellipse(tab, panel="x"):
    """Outline that the browser draws in a panel, across."""
    return tab.evaluate(
        f"""panel => document.querySelector('{FIGURE}').data
            .filter(trace => trace.legendgroup === 'roi-0' && trace.xaxis === panel)[0].x""",
        panel,
    )


def click(tab, trace, point):
    """Click on one point of a trace; its values across and up."""
    at = tab.evaluate(
        f"""([trace, point]) => {{
            const figure = document.querySelector('{FIGURE}');
            figure.scrollIntoView();
            const {{ x, y, xaxis, yaxis }} = figure._fullData[trace];
            const box = figure.getBoundingClientRect();
            const across = figure._fullLayout[xaxis.replace('x', 'xaxis')];
            const up = figure._fullLayout[yaxis.replace('y', 'yaxis')];
            return {{
                left: box.left + across._offset + across.d2p(x[point]),
                top: box.top + up._offset + up.d2p(y[point]),
                across: x[point],
                up: y[point],
            }};
        }}""",
        [trace, point],
    )
    tab.mouse.move(at["left"] - 3, at["top"] - 3)
    tab.mouse.move(at["left"], at["top"], steps=3)
    tab.wait_for_selector(f"{FIGURE} .hoverlayer .hovertext")
    tab.mouse.click(at["left"], at["top"])
    return at["across"], at["up"]


def test_page_shows_widgets_and_no_code(visit):
    text = visit.tab.inner_text("body")
    assert "Explore the landscapes" in text and "ROI (points)" in text
    for word in ("import ", "find_root", "Explorer("):
        assert word not in text
    assert visit.failed == []


def test_moved_slider_moves_the_ellipse_and_the_numbers(visit, study):
    tab = visit.tab
    handle = tab.locator(".widget-hslider", has_text="ROI (points)").locator(".noUi-handle")
    handle.focus()
    for _ in range(15):
        tab.keyboard.press("ArrowRight")
    tab.get_by_text("points in the 2.0-ROI").wait_for()
    landscape = study.results.landscapes()["unpruned"]
    inside = landscape.roi(2.0)
    row = tab.get_by_role("row", name="points in the 2.0-ROI").first
    assert row.get_by_role("cell").first.inner_text() == str(len(inside))
    # The outline reaches two standard deviations from the mean along each axis.
    logs = np.log10(inside["weight_decay"])
    drawn = np.log10(ellipse(tab))
    assert (drawn.max() + drawn.min()) / 2 == pytest.approx(logs.mean(), abs=0.01)
    assert np.ptp(drawn) == pytest.approx(4 * logs.std(), rel=0.02)
    before = ellipse(tab)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.get_by_text("points in the 2.3-ROI").wait_for()
    assert len(landscape.roi(2.3)) != len(inside) and ellipse(tab) != before


def test_another_network_is_drawn_where_it_is_chosen(visit, study):
    tab = visit.tab
    tab.get_by_label("right", exact=True).select_option("Non-uniform, 60 % FLOPs")
    tab.locator(FIGURE).get_by_text("Non-uniform, 60 % − Dense").wait_for()
    tab.locator(".hpstudy-table >> nth=0").get_by_text("Non-uniform, 60 % FLOPs").wait_for()
    values = tab.evaluate(
        f"""document.querySelector('{FIGURE}').data
            .filter(trace => trace.legendgroup === 'points' && trace.xaxis === 'x2')[0]
            .marker.color"""
    )
    landscape = study.results.landscapes()["nonuniform-0.6"]
    assert values == pytest.approx(list(landscape.points["value"] - landscape.best), abs=0.01)


def test_clicked_point_shows_its_learning_curves(visit, study):
    tab = visit.tab
    across, up = click(tab, 1, 7)
    tab.get_by_text(re.compile("Learning curves of 4 runs")).wait_for()
    drawn = "document.querySelectorAll('.js-plotly-plot')[1]?.data?.filter(t => t.yaxis === 'y')"
    tab.wait_for_function(f"{drawn}?.length === 4")
    curves = tab.evaluate(f"{drawn}.map(trace => trace.y)")
    table = study.results.table
    here = table[np.isclose(table["lr"], up) & np.isclose(table["weight_decay"], across)]
    runs = here[here["variant"] == "unpruned"].sort_values("seed")
    assert curves[:2] == [json.loads(text)["top1"] for text in runs["curve"]]


def test_saved_csv_has_the_rows_of_the_view(visit, study, tmp_path):
    with visit.tab.expect_download() as download:
        visit.tab.get_by_role("button", name="CSV", exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    table = pd.read_csv(path)
    left = table[table["side"] == "left"]
    points = study.results.landscapes()["unpruned"].points
    assert left["value"].tolist() == pytest.approx(points["value"].tolist())
    right = visit.tab.get_by_label("right", exact=True)
    shown = right.evaluate("select => select.selectedOptions[0].text")
    # ipywidgets writes spaces that do not break.
    shown = shown.replace("\u00a0", " ")
    assert {variant_title(name) for name in table["variant"]} == {"Dense", shown}
    assert path.name.startswith(f"{STUDY}-unpruned-")


def test_camera_saves_the_figure(visit, tmp_path):
    tab = visit.tab
    width = tab.evaluate(f"document.querySelector('{FIGURE}').layout.width")
    with tab.expect_download() as download:
        tab.locator(f'{FIGURE} .modebar-btn[data-title^="Download plot"]').first.click(force=True)
    path = tmp_path / "figure.png"
    download.value.save_as(path)
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20]) == pytest.approx(2 * width, abs=4)


def test_nothing_leaves_this_machine_but_the_request_for_icons(visit, explorer):
    assert [url for url in visit.outside if not ICONS.match(url)] == []
    assert visit.sockets
    assert all(url.startswith(f"ws://127.0.0.1:{explorer.port}/") for url in visit.sockets)
