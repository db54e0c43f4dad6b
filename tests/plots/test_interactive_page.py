"""Interactive landscapes in a browser."""

import json
import math
import shutil

import handmade
import numpy as np
import pandas as pd
import pytest
import synthetic
from browser import chromium, served, visit

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk
from hpstudy.analysis.study_results import StudyResults, read_study
from hpstudy.plots.interactive import THRESHOLDS, Sliders, interactive_html
from hpstudy.report.sphinx_offline import INTERACTIVE_SCRIPTS, PLOTLY, plotly_script

pytestmark = pytest.mark.browser

STATIC = synthetic.REPOSITORY / "book" / "_static"
READY = ".hpstudy-interactive [data-panel=difference] .main-svg"


def copy_scripts(folder):
    for name in (*INTERACTIVE_SCRIPTS, "hpstudy.css"):
        shutil.copy(STATIC / name, folder)
    shutil.copy(plotly_script(), folder / PLOTLY)


def write_page(study, path):
    """A page like the book's: the element, and scripts that run after it has been read."""
    scripts = "".join(
        f'<script defer src="{name}"></script>' for name in (PLOTLY, *INTERACTIVE_SCRIPTS)
    )
    path.write_text(
        '<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">'
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="hpstudy.css">{scripts}'
        f"<body>{interactive_html(study)}</body></html>",
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def published():
    return read_study("small-resnet20", [synthetic.REPOSITORY / "book" / "results"])


@pytest.fixture(scope="module")
def studies(published):
    """The published study, and the one by hand with a stopped run."""
    hand = handmade.study()
    table = hand.table.assign(stopped=[False, False, True, False, False])
    table.loc[2, ["top1", "best_top1"]] = math.nan
    return {
        "published": published,
        "hand": StudyResults("hand", table, hand.record),
        "losses": losses(),
    }


def losses():
    """Losses of two networks over learning rates alone; one run of the second diverged."""
    runs = [
        {"variant": name, "lr": lr, "weight_decay": 0.0, "seed": 0, "val_loss": loss}
        for name, values in (
            ("unpruned", (0.5, 0.4, 0.3, 0.35, 0.45)),
            ("thin", (0.6, 0.42, 0.41, 0.4, math.nan)),
        )
        for lr, loss in zip((0.001, 0.01, 0.1, 1.0, 10.0), values, strict=True)
    ]
    table = pd.DataFrame(runs)
    networks = landscapes(table, "val_loss", axes=("lr",), goal="minimize")
    return Sliders("losses", table, {"val_loss": networks}, 0.1)


@pytest.fixture(scope="module")
def tabs(studies, tmp_path_factory):
    """A tab of a browser for each study; none may ask another host or have an error."""
    folder = tmp_path_factory.mktemp("site")
    copy_scripts(folder)
    for name, study in studies.items():
        write_page(study, folder / f"{name}.html")
    with chromium() as chrome, served(folder) as address:
        context = chrome.new_context()
        seen = {name: visit(context, address, f"{name}.html") for name in studies}
        for tab, _, _ in seen.values():
            tab.wait_for_selector(READY, state="attached")
        yield {name: tab for name, (tab, _, _) in seen.items()}
        assert [said[1:] for said in seen.values()] == [([], [])] * len(seen)


@pytest.fixture
def opened(tabs, studies):
    """Tab of a study with a figure as it is when its page has been loaded."""

    def fresh(name="published", width=1000):
        tab = tabs[name]
        tab.set_viewport_size({"width": width, "height": 900})
        # The scripts, which take seconds to load, begin anew as if they just had been.
        tab.evaluate(
            """html => {
                document.querySelectorAll(".js-plotly-plot").forEach(plot => Plotly.purge(plot));
                document.documentElement.dataset.theme = "light";
                document.body.innerHTML = html;
                document.dispatchEvent(new Event("DOMContentLoaded"));
            }""",
            interactive_html(studies[name]),
        )
        tab.mouse.move(0, 0)
        return tab

    return fresh


def slide(tab, step):
    """Set the slider as a hand would, and wait for the frame in which the page follows."""
    tab.locator("input[name=threshold]").fill(str(step))
    tab.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def numbers(tab):
    """Rows of the table under the panels: name -> cells."""
    rows = tab.evaluate(
        "[...document.querySelectorAll('.hpstudy-interactive table tbody tr')]"
        ".map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return {row[0].split(" (")[0]: row[1:] for row in rows}


def shape(tab, panel, name):
    """Paths of one kind of mark that a panel shows, as points, one list a closed line."""
    script = """([panel, name]) => {
        const shapes = document.querySelector(`[data-panel=${panel}]`).layout.shapes;
        // Two lines, a broad one under a narrow one, follow each path.
        return [...new Set(shapes.filter(one => one.name === name).map(one => one.path))];
    }"""
    return [
        [tuple(map(float, pair.split(","))) for pair in line.removeprefix("M").split("L")]
        for path in tab.evaluate(script, [panel, name])
        for line in path.split("Z")[:-1]
    ]


def drawn(tab, panel):
    """Cells of a panel that have a value, as a set of rounded numbers."""
    z = tab.evaluate(f"document.querySelector('[data-panel={panel}]').data[0].z")
    return {round(x, 6) for row in z for x in row if x is not None}


def within(landscape, zero=0.0):
    return {round(x - zero, 6) for x in landscape.points["value"].dropna()}


def written(value):
    return f"{value:.2f}"


def test_slider_moves_region_ellipse_and_numbers_to_those_of_python(opened, published):
    tab = opened()
    for step in (8, 18, 45):
        slide(tab, step)
        assert_shown(tab, published.landscapes(), THRESHOLDS[step])


def assert_shown(tab, every, threshold):
    """Both panels and the table show these landscapes at this threshold."""
    shown = {"left": every["unpruned"], "right": list(every.values())[-1]}
    table = numbers(tab)
    for column, (panel, landscape) in enumerate(shown.items()):
        region, ellipse = landscape.roi(threshold), landscape.ellipse(threshold)
        # The best point has its star and no ring.
        rings = [np.mean(ring, axis=0) for ring in shape(tab, panel, "region")]
        ringed = {(round(y, 6), round(x, 6)) for x, y in rings}
        logs = {tuple(np.log10([p.lr, p.weight_decay]).round(6)) for p in region.itertuples()}
        assert ringed == logs - {tuple(np.log10(list(landscape.best_at.values())).round(6))}
        assert table["points in the region"][column] == str(len(region))
        assert table["best"][column] == written(landscape.best)
        assert table["at learning rate"][column] == f"{landscape.best_at['lr']:.3g}"
        loss = risk(every["unpruned"], landscape, threshold).mean
        assert table["mean risk over the region of Dense"][column] == written(loss)
        outline = shape(tab, panel, "ellipse")
        if ellipse is None:
            assert outline == [] and table["width"][column] == "–"
        else:
            first, second = ellipse.outline(61)
            (line,) = outline
            # The last point of Python's closed line is the first one again.
            assert np.allclose(line, np.column_stack([second, first])[:-1], atol=1e-4)
            assert table["length of its ellipse"][column] == written(ellipse.length)
            assert table["width"][column] == written(ellipse.width)
            for k, axis in enumerate(("learning rate", "weight decay")):
                centre = float(table[f"centre, {axis}"][column])
                assert centre == pytest.approx(10 ** ellipse.centre[k], rel=5e-3)


def test_networks_metric_and_colour_change_what_is_drawn(opened, published):
    tab = opened()
    names = list(published.landscapes())
    assert drawn(tab, "left") == within(published.landscapes()[names[0]])
    tab.select_option("select[name=left]", str(1))
    tab.select_option("select[name=right]", str(2))
    tab.select_option("select[name=metric]", "best_top1")
    ours, theirs = (published.landscapes("best_top1")[name] for name in names[1:])
    assert drawn(tab, "left") == within(ours) and drawn(tab, "right") == within(theirs)
    assert numbers(tab)["best"] == [written(ours.best), written(theirs.best)]
    tab.select_option("select[name=colour]", "relative")
    assert drawn(tab, "right") == within(theirs, zero=theirs.best)
    both = ours.points.merge(theirs.points, on=["lr", "weight_decay"])
    difference = (both["value_y"] - theirs.best) - (both["value_x"] - ours.best)
    assert drawn(tab, "difference") == {round(x, 6) for x in difference}


def test_panels_share_a_colour_scale_and_the_difference_is_centred_at_zero(opened):
    tab = opened()
    ends = tab.evaluate(
        "['left', 'right', 'difference'].map(name => document.querySelector("
        "`[data-panel=${name}]`).data[0]).map(({zmin, zmax}) => [zmin, zmax])"
    )
    assert ends[0] == ends[1]
    assert ends[2][0] == -ends[2][1] < 0


def place_of(tab, panel, point):
    """Where a grid point lies on the screen."""
    return tab.evaluate(
        """([panel, point]) => {
            const plot = document.querySelector(`[data-panel=${panel}]`);
            const { xaxis, yaxis } = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            const k = plot.data[1].customdata.indexOf(point);
            const [x, y] = [plot.data[1].x[k], plot.data[1].y[k]];
            return [box.x + xaxis._offset + xaxis.l2p(x), box.y + yaxis._offset + yaxis.l2p(y)];
        }""",
        [panel, point],
    )


def curves(tab, name):
    return tab.evaluate(f"document.querySelector('[data-panel={name}]').data.map(one => one.y)")


def recorded(published, point, variant):
    """Runs of one network at a grid point, from the table, one a seed."""
    at = published.landscapes()["unpruned"].points.iloc[point]
    table = published.table
    here = np.isclose(table["lr"], at["lr"]) & np.isclose(table["weight_decay"], at["weight_decay"])
    return list(table[here & (table["variant"] == variant)].sort_values("seed").itertuples())


def test_click_on_a_point_draws_its_recorded_curves(opened, published):
    tab = opened()
    names = list(published.landscapes())
    for panel, point in (("left", 40), ("difference", 12)):
        tab.mouse.click(*place_of(tab, panel, point))
        tab.wait_for_function(f"document.querySelector('select[name=point]').value === '{point}'")
        runs = [run for name in (names[0], names[-1]) for run in recorded(published, point, name)]
        for name in ("top1", "train_loss"):
            lines = curves(tab, name)
            assert len(lines) == len(runs) >= 2
            for line, run in zip(lines, runs, strict=True):
                assert line == pytest.approx(json.loads(run.curve)[name], rel=1e-3)
        assert len(shape(tab, "right", "chosen")) == 1


def test_hovering_a_point_shows_all_fields_of_its_runs(opened, published):
    tab = opened()
    tab.mouse.move(*place_of(tab, "left", 40))
    tab.wait_for_selector(".hpstudy-interactive .tip")
    said = tab.locator(".hpstudy-interactive .tip").text_content()
    runs = recorded(published, 40, "unpruned")
    assert runs
    for row in runs:
        for field in (
            f"seed {row.seed}",
            f"top-1 accuracy {row.top1:.2f}",
            f"top-1 accuracy of the best epoch {row.best_top1:.2f}",
            f"best epoch {row.best_epoch}",
            f"training loss {row.train_loss:.4f}",
            f"{row.seconds:.1f} s",
        ):
            assert field in said


def test_everything_can_be_reached_and_moved_by_keyboard(opened):
    tab = opened()
    reached = []
    for _ in range(6):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.name"))
    assert reached == ["left", "right", "metric", "colour", "threshold", "point"]
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("[data-panel=train_loss] .scatterlayer .trace")
    assert len(curves(tab, "top1")) == 2
    before = numbers(tab)["points in the region"]
    tab.focus("input[name=threshold]")
    for _ in range(12):
        tab.keyboard.press("ArrowRight")
    tab.wait_for_function("document.querySelector('output').textContent === '1.1'")
    slide(tab, 20)
    assert numbers(tab)["points in the region"] != before
    labelled = (
        "[...document.querySelectorAll('select, input')].every(one => one.labels.length === 1)"
    )
    assert tab.evaluate(labelled)
    assert tab.locator("[aria-live=polite] table").count() == 1


def test_panels_stand_below_each_other_where_it_is_narrow_and_nothing_overflows(opened):
    tops = {}
    for width in (400, 1000):
        tab = opened(width=width)
        tab.select_option("select[name=point]", index=3)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [tab.locator(f"[data-panel={name}]").bounding_box() for name in ("left", "right")]
        tops[width] = boxes[1]["y"] - boxes[0]["y"]
    assert tops[400] > 200 and tops[1000] == 0


def test_ink_follows_the_theme_of_the_page(opened):
    tab = opened()
    tab.add_style_tag(content="html[data-theme=dark] body { color: rgb(230, 230, 230) }")
    tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    tab.wait_for_function(
        "getComputedStyle(document.querySelector('[data-panel=left] .xtick text')).fill"
        " === 'rgb(230, 230, 230)'"
    )
    assert tab.evaluate("document.querySelector('[data-panel=right]').layout.xaxis.linecolor") == (
        "rgb(230, 230, 230)"
    )


def test_diverged_stopped_and_hostile_rows_are_drawn_and_named_as_text(opened):
    tab = opened("hand")
    tab.select_option("select[name=point]", index=1)
    symbols = tab.evaluate(
        "['left', 'right'].map(name => document.querySelector(`[data-panel=${name}]`)"
        ".data[2].marker.symbol)"
    )
    assert [sorted(panel) for panel in symbols] == [["line-ew", "star"], ["star", "x"]]
    assert tab.locator("img").count() == 0
    assert tab.locator("figcaption").nth(1).inner_text() == handmade.HOSTILE


def test_each_of_several_seeds_has_its_fields_and_its_curve(opened):
    tab = opened("hand")
    tab.select_option("select[name=point]", "2")
    # Two seeds of the dense network and one of the other.
    lines = curves(tab, "train_loss")
    assert lines == [[0.1, None], [1.235, 0.5], [1.235, 0.5]]
    tab.mouse.move(*place_of(tab, "left", 2))
    tab.wait_for_selector(".hpstudy-interactive .tip")
    said = tab.locator(".hpstudy-interactive .tip").text_content()
    assert "top-1 accuracy 70.50 %, SD 0.71, n = 2" in said
    assert "seed 0" in said and "seed 1" in said


def test_over_one_axis_levels_go_up_with_their_region_as_a_band(opened):
    tab = opened("losses")
    read = "name => document.querySelector(`[data-panel=${name}]`)"
    points = tab.evaluate(f"({read})('left').data[1]")
    assert points["x"] == [-3, -2, -1, 0, 1]
    # The scale ends at the median of all values, 0.41, where worse ones lie.
    assert points["y"] == pytest.approx([0.41, 0.4, 0.3, 0.35, 0.41])
    assert points["marker"]["symbol"] == ["triangle-up", *["circle"] * 3, "triangle-up"]
    crosses = tab.evaluate(f"({read})('right').data[2]")
    marks = zip(crosses["x"], crosses["y"], crosses["marker"]["symbol"], strict=True)
    assert sorted(marks) == [(0, 0.4, "star"), (1, 0.41, "x")]
    band, *_ = tab.evaluate(f"({read})('left').layout.shapes")
    assert (band["y0"], band["y1"]) == (0.3, pytest.approx(0.4))
    # -0.08 lies beyond the end of the scale.
    difference = tab.evaluate(f"({read})('difference').data[1]")
    assert difference["y"][:4] == pytest.approx([0.0, -0.05, 0.01, -0.05])
    assert numbers(tab)["best"] == ["0.3", "0.4"]
    assert "width" not in numbers(tab)
    # Two deviations of all five decades, from the step that holds them on.
    slide(tab, 19)
    path = tab.evaluate(f"({read})('left').layout.shapes.find(one => one.name === 'ellipse').path")
    ends = [float(number) for number in path[1:].replace("H", ",").split(",")]
    assert (ends[0], ends[2]) == pytest.approx((-1 - 2 * 2.5**0.5, -1 + 2 * 2.5**0.5), abs=1e-4)


def test_choice_draws_anew_only_what_follows_it(opened):
    tab = opened()
    count = """() => {
        const calls = [];
        const real = { ...Plotly };
        for (const name of ["react", "relayout", "restyle", "update"]) {
            Plotly[name] = (plot, ...rest) => {
                calls.push([name, plot.dataset.panel, Object.keys(rest[0]).join()]);
                return real[name](plot, ...rest);
            };
        }
        window.calls = calls;
        window.restore = () => Object.assign(Plotly, real);
    }"""
    tab.evaluate(count)
    slide(tab, 38)
    panels = ("left", "right", "difference")
    assert tab.evaluate("calls") == [["relayout", panel, "shapes"] for panel in panels]
    tab.select_option("select[name=colour]", "relative")
    assert [call[:2] for call in tab.evaluate("calls")[3:]] == [
        ["react", "left"],
        ["react", "right"],
    ]
    tab.evaluate("restore()")
