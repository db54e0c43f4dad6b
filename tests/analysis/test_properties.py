"""What holds for every study file, table and landscape, not for some chosen ones."""

import math

import pandas as pd
import pytest
import tiny
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk
from hpstudy.analysis.run_tables import read_runs
from hpstudy.config.study import Study
from hpstudy.errors import HpstudyError

# A busy machine is no fault, and a suite that fails now and then is not believed.
FEW = settings(derandomize=True, deadline=None, max_examples=20)
MANY = settings(FEW, max_examples=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


def read_or_refuse(read, *arguments):
    """What is read, or None where it is refused in one line."""
    try:
        return read(*arguments)
    except HpstudyError as error:
        assert str(error).isprintable() and str(error).endswith(".")
        return None


# --- study files ----------------------------------------------------------------------------------

PLACES = (
    *("name", "model", "data", "recipe", "prior", "grid", "variants", "criterion", "seeds"),
    *("replicates", "roi", "arithmetic", "racing", "other", "data.name", "data.image_size"),
    *("data.train_images", "data.holdout", "recipe.epochs", "recipe.momentum", "prior.lr"),
    *("recipe.lr_decay_epochs", "grid.lr", "grid.weight_decay"),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates()
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3),
    max_leaves=9,
)


@pytest.mark.slow
@given(st.sampled_from(PLACES), anything)
@MANY
def test_any_value_at_any_key_is_a_study_or_refused(folder, place, value):
    path = tiny.write_study(folder / "any.yaml", {place: value})
    assert isinstance(read_or_refuse(Study.load, path), Study | None)


@pytest.mark.slow
@given(st.text(max_size=60) | st.text(alphabet="ab:-[]{}&*!|>\"'#%@ \n\t", max_size=60))
@MANY
def test_any_text_is_a_study_or_refused(folder, text):
    path = folder / "text.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert read_or_refuse(Study.load, path) is None


rates = st.floats(1e-9, 1e3)
# Values that differ by rounding alone are one setting, and a list holds it once.
listed = st.lists(rates, min_size=1, max_size=5, unique_by=lambda rate: f"{rate:.9g}")
axes = listed | st.fixed_dictionaries(
    {"points": st.integers(1, 101), "step": st.floats(0.001, 0.1), "extend": st.integers(0, 9)}
)
changes = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
        "data.holdout": st.just("test") | st.floats(0.01, 0.5),
        "recipe.epochs": st.integers(10, 10**9),
        "recipe.lr_decay_epochs": st.sets(st.integers(1, 9)).map(sorted),
        "recipe.momentum": st.floats(0, 0.999),
        "prior.lr": rates,
        "grid.lr": axes,
        "grid.weight_decay": axes,
        "seeds": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3, unique=True),
    }
)


@pytest.mark.slow
@given(changes)
@MANY
def test_study_that_is_written_and_read_again_is_the_same(folder, changed):
    study = tiny.study(changed)
    path = folder / "again.yaml"
    path.write_text(yaml.safe_dump(study.model_dump(mode="json")), encoding="utf-8")
    assert Study.load(path) == study


@given(st.sets(st.tuples(rates, rates, st.integers(0, 2**63 - 1)), max_size=20))
@FEW
def test_other_settings_are_other_runs(runs):
    ids = tiny.spec().run_ids(runs)
    assert len(set(ids)) == len(runs) and all(len(run_id) == 16 for run_id in ids)


# --- tables ---------------------------------------------------------------------------------------

COLUMNS = ["variant", "lr", "weight_decay", "seed", "top1"]
cells = st.sampled_from(["", "0.1", "1", "93.5", "unpruned", "nan", "-1"]) | st.text(max_size=9)
numbers = st.floats(1e-9, 1e3).map(lambda value: float(f"{value:.6g}"))
runs = st.lists(
    st.tuples(st.sampled_from(["unpruned", "thin"]), numbers, numbers, st.integers(0, 99)),
    min_size=1,
    max_size=12,
    unique=True,
)


@pytest.mark.slow
@given(st.lists(st.tuples(*[cells] * len(COLUMNS)), max_size=4), st.permutations(COLUMNS))
@MANY
def test_any_cells_are_a_table_or_refused(folder, rows, header):
    path = folder / "any.csv"
    # A surrogate is no text; UTF-8 has none, so that such a file is one of bytes.
    text = pd.DataFrame(rows, columns=header).to_csv(index=False)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read = read_or_refuse(read_runs, path)
    assert read is None or len(read.table) <= len(rows)


@pytest.mark.slow
@given(runs, st.randoms(use_true_random=False))
@FEW
def test_order_of_the_rows_of_a_table_does_not_matter(folder, rows, chance):
    table = pd.DataFrame([(*row, 50.0 + n) for n, row in enumerate(rows)], columns=COLUMNS)
    table.loc[len(table)] = ("unpruned", 2e3, 2e3, 0, 12.5)
    order = chance.sample(range(len(table)), len(table))
    found = []
    for name, one in (("a.csv", table), ("b.csv", table.iloc[order])):
        one.to_csv(folder / name, index=False)
        read = read_runs(folder / name)
        found.append(landscapes(read.table, read.metric, read.dense, read.axes))
    here, there = found
    assert here.keys() == there.keys()
    for name, one in here.items():
        pd.testing.assert_frame_equal(one.points, there[name].points)


# --- landscapes -----------------------------------------------------------------------------------

accuracies = st.lists(st.integers(0, 800).map(lambda n: n / 8), min_size=9, max_size=9)
thresholds = st.integers(0, 80).map(lambda n: n / 8)
moves = st.integers(-80, 80).map(lambda n: n / 8)


def square(values, scale=1.0):
    """Landscape of 3 x 3 points, one run each; `scale` is of both axes."""
    at = [(10.0**i * scale, 10.0**j * scale) for i in range(3) for j in range(3)]
    rows = [("unpruned", *xy, 0, value) for xy, value in zip(at, values, strict=True)]
    return landscapes(pd.DataFrame(rows, columns=COLUMNS))["unpruned"]


@given(accuracies, thresholds)
@FEW
def test_region_holds_the_best_point_and_every_tie(values, threshold):
    one = square(values)
    inside = one.roi(threshold)
    assert (inside["value"] == max(values)).sum() == values.count(max(values))
    assert len(one.roi(100.0)) == 9


@pytest.mark.slow
@given(accuracies, thresholds, moves)
@FEW
def test_region_does_not_depend_on_how_good_all_of_it_is(values, threshold, move):
    one, moved = square(values), square([value + move for value in values])
    assert one.in_roi(threshold).tolist() == moved.in_roi(threshold).tolist()


@pytest.mark.slow
@given(accuracies, thresholds, st.sampled_from([0.5, 2.0, 4.0]))
@FEW
def test_region_scales_with_the_unit_of_its_threshold(values, threshold, unit):
    one, scaled = square(values), square([value * unit for value in values])
    assert one.in_roi(threshold).tolist() == scaled.in_roi(threshold * unit).tolist()


@pytest.mark.slow
@given(accuracies, accuracies, thresholds, moves, moves)
@FEW
def test_risk_is_relative_to_the_own_best(dense, thin, threshold, up, down):
    before = risk(square(dense), square(thin), threshold)
    after = risk(square([v + up for v in dense]), square([v + down for v in thin]), threshold)
    assert before.mean >= 0 and before.n == after.n
    assert_allclose([after.mean, after.std], [before.mean, before.std], atol=1e-9)


@pytest.mark.slow
@given(accuracies, thresholds, st.sampled_from([1e-3, 0.5, 100.0]))
@FEW
def test_units_of_the_axes_move_an_ellipse_alone(values, threshold, scale):
    here, there = (square(values, by).ellipse(threshold) for by in (1.0, scale))
    if here is None:
        assert there is None
        return
    assert_allclose([there.length, there.width], [here.length, here.width], atol=1e-9)
    moved = [centre + math.log10(scale) for centre in here.centre]
    assert_allclose(there.centre, moved, atol=1e-9)
