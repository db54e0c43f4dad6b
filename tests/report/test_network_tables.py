"""Tables of public networks from rows as the benchmark writes them."""

from hpstudy.report.network_tables import checks_table, reach_counts, reach_table, reason_table
from hpstudy.report.notebook import html_table

ROWS = [
    {
        "network": "timm:made_up",
        "pixels": 64,
        "exact": {"inside": 8, "residual": 4, "stem": 1},
        "reasons": {"they are tied": [2, "a.0: its channels are tied"]},
        "floor": {"inside": 0.25, "all": 0.01},
        "reached": {
            "inside uniform 0.6": 0.6001,
            "inside nonuniform 0.6": 0.5998,
            "inside uniform 0.3": 0.305,
            "inside nonuniform 0.3": 0.3,
            "all nonuniform 0.3": 0.3,
        },
        "error": 1e-15,
        "macs": True,
        "rounded": {
            "scope": "inside",
            "reached": 0.31,
            "rebuilt": True,
            "trained": True,
            "onnx": 2e-7,
            "latency": {"ratio": 0.5, "low": 0.4, "high": 0.6},
        },
        "seconds": 9.5,
    },
    {
        "network": "torchvision:never",
        "pixels": 224,
        "exact": {"inside": 0, "residual": 0, "stem": 0},
        "reasons": {},
        "error": 0.0,
        "refused": "no channels of torchvision:never can be pruned: a.0: it is made up.",
        "seconds": 1.0,
    },
]


def test_shares_are_the_farther_ones_of_two_methods():
    frame = reach_table(ROWS)
    line = frame.loc["made_up, 64 px"]
    assert line["channel groups"].tolist() == [8, 13, 2] and line["lowest"].tolist() == [25.0, 1.0]
    assert line["reached inside"].tolist() == [59.98, 30.5, 31.0]
    assert frame.loc["never, 224 px"].notna().sum() == 3  # its numbers of groups
    assert html_table(frame, digits=1).count("<tr") == 4


def test_networks_are_counted():
    counts = reach_counts(ROWS)
    assert (counts["networks"], counts["prunable"], counts["groups"]) == (2, 1, 13)
    assert (counts["at_60"], counts["at_30"], counts["all_at_30"]) == (1, 0, 1)
    assert counts["cut"] == counts["rebuilt"] == counts["trained"] == counts["exported"] == 1


def test_checks_and_reasons_of_every_network():
    line = checks_table(ROWS).loc["made_up, 64 px"]
    assert line["time"] == "0.50 (0.40 to 0.60)" and line["ONNX error"] == "2e−07"
    assert line["error in float64"] == "1e−15" and line["FLOPs"] == 31
    frame = reason_table(ROWS)
    assert frame["groups"].tolist()[0] == 2 and "made up" in frame["for example"].iloc[1]
