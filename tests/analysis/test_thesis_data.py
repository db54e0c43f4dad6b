"""Published tables: literal values as printed, and what the thesis says of them in words."""

from importlib import resources

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis import thesis_data

TABLES = [
    thesis_data.table_3_2,
    thesis_data.table_3_4,
    thesis_data.table_4_1,
    thesis_data.table_4_2,
    thesis_data.best_accuracies,
]
VARIANTS = {
    "mobilenetv2": {
        "unpruned",
        "uniform-0.6",
        "uniform-0.4",
        "nonuniform-0.6",
        "nonuniform-0.4",
    },
    "resnet56": {"unpruned", "uniform-0.6", "uniform-0.2", "nonuniform-0.6", "nonuniform-0.2"},
    "resnet50": {"unpruned", "nonuniform-0.4"},
}


def row(table, **where):
    """The only row with these values, without them."""
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0].drop(list(where)).tolist()


def test_table_3_2_as_printed():
    table = thesis_data.table_3_2()
    assert row(table, model="resnet56") == ["32x32x3", 0.85, 2.5e8]
    assert row(table, model="mobilenetv2") == ["32x32x3", 2.2, 6.1e8]
    assert row(table, model="resnet50") == ["224x224x3", 25.6, 8.2e9]


def test_table_3_4_as_printed():
    table = thesis_data.table_3_4()
    assert row(table, model="resnet50") == [0.1, 0.0001, 75.448, 92.608]
    assert row(table, model="resnet56")[:3] == [0.1, 0.0001, 93.34]
    assert row(table, model="mobilenetv2")[:3] == [0.1, 0.0001, 94.73]
    assert table["top5"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    "model, variant, roi, printed",
    [
        # length, width, weight decay, learning rate
        ("mobilenetv2", "unpruned", 1.0, [3.32, 0.56, -3.0, -1.8]),
        ("mobilenetv2", "uniform-0.4", 0.5, [1.55, 0.50, -2.6, -2.1]),
        ("mobilenetv2", "nonuniform-0.6", 1.0, [1.46, 0.66, -2.5, -2.2]),
        ("resnet56", "unpruned", 0.5, [2.58, 0.52, -3.0, -1.5]),
        ("resnet56", "uniform-0.2", 0.5, [2.34, 0.4, -3.1, -1.6]),
        ("resnet56", "nonuniform-0.2", 0.5, [4.76, 0.58, -3.3, -1.2]),
        ("resnet50", "unpruned", 0.5, [1.69, 0.57, -3.8, -1.3]),
        ("resnet50", "nonuniform-0.4", 1.0, [2.53, 0.55, -4.3, -0.9]),
    ],
)
def test_table_4_1_as_printed(model, variant, roi, printed):
    assert row(thesis_data.table_4_1(), model=model, variant=variant, roi=roi) == printed


@pytest.mark.parametrize(
    "model, variant, printed",
    [
        ("mobilenetv2", "unpruned", [0.219, 0.128, 0.002, 0.001]),
        ("mobilenetv2", "nonuniform-0.6", [0.591, 0.391, 0.006, 0.004]),
        ("resnet56", "uniform-0.6", [0.622, 0.428, 0.007, 0.005]),
        ("resnet56", "nonuniform-0.2", [0.890, 0.258, 0.010, 0.003]),
        ("resnet50", "nonuniform-0.4", [0.864, 0.467, 0.012, 0.007]),
    ],
)
def test_table_4_2_as_printed(model, variant, printed):
    assert row(thesis_data.table_4_2(), model=model, variant=variant) == printed


@pytest.mark.parametrize(
    "model, variant, top1",
    [
        ("mobilenetv2", "unpruned", 95.32),
        ("mobilenetv2", "nonuniform-0.4", 94.48),
        ("resnet56", "unpruned", 94.05),
        ("resnet56", "uniform-0.2", 91.08),
        ("resnet56", "nonuniform-0.2", 90.98),
    ],
)
def test_best_accuracies_on_cifar_as_quoted(model, variant, top1):
    found = row(thesis_data.best_accuracies(), model=model, variant=variant)
    assert found[0] == top1
    assert np.isnan(found[1])


def test_best_accuracies_on_imagenet_as_quoted():
    table = thesis_data.best_accuracies()
    assert row(table, model="resnet50", variant="unpruned") == [75.83, 92.84]
    assert row(table, model="resnet50", variant="nonuniform-0.4") == [70.81, 89.73]


@pytest.mark.parametrize(
    "read", [thesis_data.table_4_1, thesis_data.table_4_2, thesis_data.best_accuracies]
)
def test_every_network_of_the_thesis_is_there_once(read):
    table = read()
    found = table.groupby("model")["variant"].agg(set).to_dict()
    assert found == VARIANTS
    keys = [name for name in ("model", "variant", "roi") if name in table.columns]
    assert not table.duplicated(keys).any()


def test_only_one_region_had_too_few_points_for_an_ellipse():
    table = thesis_data.table_4_1()
    holes = table[table.isna().any(axis=1)]
    assert holes[["model", "variant", "roi"]].to_numpy().tolist() == [
        ["resnet50", "nonuniform-0.4", 0.5]
    ]
    assert len(table) == 2 * 12


def test_length_is_the_longer_side():
    table = thesis_data.table_4_1().dropna()
    assert (table["length"] > table["width"]).all()
    assert (table["width"] > 0).all()


def test_risk_of_a_dense_network_is_within_its_half_point_region():
    # Section 4.2: at most 0.5 by definition of the region.
    dense = thesis_data.table_4_2().query("variant == 'unpruned'")
    assert len(dense) == 3
    assert (dense["mean"] <= 0.5).all()


def test_every_pruned_network_risks_more_than_its_dense_one():
    # Section 4.2: across all methods and architectures the risk increases after pruning.
    for _, table in thesis_data.table_4_2().groupby("model"):
        dense = table.loc[table["variant"] == "unpruned", "mean"].item()
        assert (table.loc[table["variant"] != "unpruned", "mean"] > dense).all()


@pytest.mark.parametrize("absolute", ["mean", "std"])
def test_relative_risk_is_the_risk_by_the_best_accuracy(absolute):
    # Equation 3.6, up to the rounding of three printed decimals.
    table = thesis_data.table_4_2().merge(thesis_data.best_accuracies(), on=["model", "variant"])
    assert len(table) == 12
    error = table[f"relative_{absolute}"] - table[absolute] / table["top1"]
    assert error.abs().max() <= 0.0005 + 1e-5


def test_best_accuracy_is_at_least_that_of_the_prior():
    # The prior is one of the grid's points.
    dense = thesis_data.best_accuracies().query("variant == 'unpruned'")
    both = dense.merge(thesis_data.table_3_4(), on="model", suffixes=("", "_prior"))
    assert len(both) == 3
    assert (both["top1"] >= both["top1_prior"]).all()
    assert (both["top5"].dropna() >= both["top5_prior"].dropna()).all()


def test_pruning_costs_accuracy():
    for _, table in thesis_data.best_accuracies().groupby("model"):
        dense = table.loc[table["variant"] == "unpruned", "top1"].item()
        assert (table.loc[table["variant"] != "unpruned", "top1"] < dense).all()


@pytest.mark.parametrize("roi, shift", [(1.0, [0.2, 0.3]), (0.5, [0.3, 0.3])])
def test_centres_of_resnet56_move_as_little_as_the_text_says(roi, shift):
    # Section 4.1.2: a maximum difference of (0.2, 0.3) for the 1.0-ROI and (0.3, 0.3) for the 0.5.
    table = (
        thesis_data.table_4_1().query("model == 'resnet56' and roi == @roi").set_index("variant")
    )
    centres = table[["weight_decay", "lr"]]
    assert (centres - centres.loc["unpruned"]).abs().max().tolist() == pytest.approx(shift)


@pytest.mark.parametrize("read", TABLES)
def test_each_call_returns_a_table_of_its_own(read):
    first = read()
    first.iloc[:, 0] = "scribbled over"
    assert "scribbled over" not in set(read().iloc[:, 0])
    assert isinstance(first, pd.DataFrame)


@pytest.mark.parametrize("read", TABLES)
def test_shipped_file_names_its_source(read):
    (name,) = read.args
    path = resources.files("hpstudy") / "published" / f"{name}.csv"
    first = path.read_text(encoding="utf-8").splitlines()[0]
    # table_4_1 comes from Table 4.1.
    place = "Table " + name[-3:].replace("_", ".") if name[:5] == "table" else "section 4.1.1"
    assert first.startswith("# Source:")
    assert first.endswith(f", {place}.")


@pytest.mark.parametrize(
    ("source", "ratio", "dense", "accuracies"),
    [
        ("wang2023", 0.69, 93.78, [(93.16, 0.16)]),
        ("wang2023", 0.50, 93.78, [(92.78, 0.23)]),
        ("wang2023", 0.28, 93.78, [(92.11, 0.12)]),
        ("wang2023", 0.088, 93.78, [(88.36, 0.20)]),
        ("liu2019", 0.896, 93.14, [(92.96, 0.26), (93.09, 0.14)]),
        ("liu2019", 0.724, 93.14, [(92.54, 0.19), (93.05, 0.18)]),
    ],
)
def test_accuracies_of_others_as_printed(source, ratio, dense, accuracies):
    table = thesis_data.from_scratch()
    found = table[(table["source"] == source) & (table["flops_ratio"] == ratio)]
    assert list(found[["top1", "sd"]].itertuples(index=False, name=None)) == accuracies
    assert set(found["dense_top1"]) == {dense} and set(found["model"]) == {"resnet56"}
