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
FIGURE = ".hpstudy-interactive"
DRAWN = f"{FIGURE} [data-panel=difference] .main-svg"
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
            tab.wait_for_selector(f"{DRAWN}, .jupyter-widgets-error-widget", state="attached")
            tab.wait_for_timeout(1000)
            if not failed:
                break
        yield SimpleNamespace(tab=tab, outside=outside, sockets=sockets, failed=failed)


def ellipse(tab, panel="left"):
    """Outline that the browser draws in a panel, across and up, as log10 of the settings."""
    path = tab.evaluate(
        """panel => document.querySelector(`[data-panel=${panel}]`).layout.shapes
            .find(shape => shape.name === "ellipse").path""",
        panel,
    )
    return np.array([pair.split(",") for pair in path.strip("MZ").split("L")], float).T


def click(tab, panel, point):
    """Click on one point of a panel; its values across and up."""
    at = tab.evaluate(
        """([panel, point]) => {
            const figure = document.querySelector(`[data-panel=${panel}]`);
            figure.scrollIntoView();
            const { x, y } = figure.data[1];
            const { xaxis, yaxis } = figure._fullLayout;
            const box = figure.getBoundingClientRect();
            return {
                left: box.left + xaxis._offset + xaxis.l2p(x[point]),
                top: box.top + yaxis._offset + yaxis.l2p(y[point]),
                across: 10 ** x[point],
                up: 10 ** y[point],
            };
        }""",
        [panel, point],
    )
    tab.mouse.move(at["left"] - 3, at["top"] - 3)
    tab.mouse.move(at["left"], at["top"], steps=3)
    tab.wait_for_selector(f"{FIGURE} .tip")
    tab.mouse.click(at["left"], at["top"])
    return at["across"], at["up"]


def test_page_shows_widgets_and_no_code(visit):
    text = visit.tab.inner_text("body")
    assert "Explore the landscapes" in text and "region of interest: at most" in text
    for word in ("import ", "find_root", "Explorer("):
        assert word not in text
    assert visit.failed == []


def test_moved_slider_moves_the_ellipse_and_the_numbers(visit, study):
    tab = visit.tab
    tab.locator("input[name=threshold]").focus()
    for _ in range(30):
        tab.keyboard.press("ArrowRight")
    # The kernel's numbers follow those of the browser.
    tab.get_by_text("points in the 2.0-ROI", exact=True).wait_for()
    landscape = study.results.landscapes()["unpruned"]
    inside = landscape.roi(2.0)
    for name in ("points in the 2.0-ROI", "points in the region"):
        row = tab.get_by_role("row", name=name).first
        assert row.get_by_role("cell").first.inner_text() == str(len(inside))
    # The outline reaches two standard deviations from the mean along each axis.
    logs = np.log10(inside["weight_decay"])
    drawn, _ = ellipse(tab)
    assert (drawn.max() + drawn.min()) / 2 == pytest.approx(logs.mean(), abs=0.01)
    assert np.ptp(drawn) == pytest.approx(4 * logs.std(), rel=0.02)
    before = ellipse(tab)
    for _ in range(6):
        tab.keyboard.press("ArrowRight")
    tab.get_by_text("points in the 2.3-ROI", exact=True).wait_for()
    assert len(landscape.roi(2.3)) != len(inside)
    assert not np.array_equal(ellipse(tab), before)


def test_another_multiple_scales_the_ellipse(visit):
    tab = visit.tab
    before = np.ptp(ellipse(tab)[0])
    slider = tab.locator("input[name=multiple]")
    assert slider.input_value() == "2"
    slider.fill("1")
    tab.get_by_text("length of its ellipse (decades, 1 SD)").wait_for()
    assert np.ptp(ellipse(tab)[0]) == pytest.approx(before / 2, rel=1e-6)
    slider.fill("2")
    tab.get_by_text("length of its ellipse (decades, 2 SD)").wait_for()


def test_another_network_is_drawn_where_it_is_chosen(visit, study):
    tab = visit.tab
    tab.get_by_label("right network").select_option("Non-uniform, 60 % FLOPs")
    # Below the browser's table stands that of the kernel.
    tab.get_by_role("columnheader", name="Non-uniform, 60 % FLOPs").nth(1).wait_for()
    assert tab.locator("figcaption").nth(1).inner_text() == "Non-uniform, 60 % FLOPs"
    cells = tab.evaluate("document.querySelector('[data-panel=right]').data[0].z")
    landscape = study.results.landscapes()["nonuniform-0.6"]
    values = landscape.points["value"] - landscape.best
    assert np.ravel(cells) == pytest.approx(list(values), abs=0.01)


def test_clicked_point_shows_its_learning_curves(visit, study):
    tab = visit.tab
    across, up = click(tab, "left", 7)
    drawn = "document.querySelector('[data-panel=top1]').data"
    tab.wait_for_function(f"{drawn}?.length === 4")
    curves = tab.evaluate(f"{drawn}.map(trace => trace.y)")
    table = study.results.table
    here = table[np.isclose(table["lr"], up) & np.isclose(table["weight_decay"], across)]
    runs = here[here["variant"] == "unpruned"].sort_values("seed")
    recorded = [json.loads(text)["top1"] for text in runs["curve"]]
    assert curves[:2] == [pytest.approx(curve, rel=1e-3) for curve in recorded]


def test_saved_csv_has_the_rows_of_the_view(visit, study, tmp_path):
    with visit.tab.expect_download() as download:
        visit.tab.get_by_role("button", name="CSV", exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    table = pd.read_csv(path)
    left = table[table["side"] == "left"]
    points = study.results.landscapes()["unpruned"].points
    assert left["value"].tolist() == pytest.approx(points["value"].tolist())
    right = visit.tab.get_by_label("right network")
    shown = right.evaluate("select => select.selectedOptions[0].text")
    assert {variant_title(name) for name in table["variant"]} == {"Dense", shown}
    assert path.name.startswith(f"{STUDY}-unpruned-")


def test_panels_are_saved_as_one_picture(visit, tmp_path):
    tab = visit.tab
    plots = tab.evaluate(
        "['left', 'right', 'difference'].map(name => "
        "document.querySelector(`[data-panel=${name}]`)).map(one => one.clientWidth)"
    )
    with tab.expect_download() as download:
        tab.get_by_role("button", name="PNG", exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(png[16:20]) == pytest.approx(2 * sum(plots), abs=4)


def test_nothing_leaves_this_machine_but_the_request_for_icons(visit, explorer):
    assert [url for url in visit.outside if not ICONS.match(url)] == []
    assert visit.sockets
    assert all(url.startswith(f"ws://127.0.0.1:{explorer.port}/") for url in visit.sockets)
