"""Published results as tables beside the thesis's, and as phrases."""

import json
import math
import subprocess

import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.study_results import (
    StudyResults,
    read_networks,
    read_results,
    read_study,
)
from hpstudy.errors import HpstudyError
from hpstudy.networks.dependency import PrunableNetwork
from hpstudy.plots.labels import roi_title, variant_title
from hpstudy.report import booktables, pages, recordtables
from hpstudy.report.htmltable import html_table
from hpstudy.report.rankings import rankings
from hpstudy.workspace import find_root


def study(model="resnet56", rows=None, name="synthetic"):
    table = synthetic.table(name, model) if rows is None else pd.DataFrame(rows)
    return StudyResults(name, table, synthetic.record(name, model))


def point(variant, lr, weight_decay, top1, seed=0):
    return {
        "variant": variant,
        "lr": lr,
        "weight_decay": weight_decay,
        "seed": seed,
        "top1": top1,
        "diverged": False,
        "macs": 7_900_000,
        "params": 853_018,
    }


def row(frame, **keys):
    for column, value in keys.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_ellipses_stand_beside_those_of_table_4_1():
    frame = booktables.ellipses([study()])
    there = row(frame, variant="nonuniform-0.2", roi=0.5)
    assert there["published_length"] == 4.76 and there["published_width"] == 0.58
    assert there["published_log10_weight_decay"] == -3.3 and there["published_log10_lr"] == -1.2
    assert len(frame) == 10


def test_ellipse_of_too_few_points_is_blank_but_counted():
    rows = [point("unpruned", 0.1, weight_decay, 80.0) for weight_decay in (1e-4, 1e-3, 1e-2)]
    there = row(booktables.ellipses([study(rows=rows)]), roi=0.5)
    assert there["n"] == 3 and math.isnan(there["length"])


def test_risks_stand_beside_those_of_table_4_2():
    # The dense 0.5-ROI is one point, at which the pruned network falls 2 of 80 points short.
    rows = [
        point("unpruned", 0.1, 1e-4, 90.0),
        point("unpruned", 0.1, 1e-3, 85.0),
        point("uniform-0.6", 0.1, 1e-4, 78.0),
        point("uniform-0.6", 0.1, 1e-3, 80.0),
    ]
    there = row(booktables.risk_table([study(rows=rows)]), variant="uniform-0.6")
    assert (there["n"], there["mean"], there["std"]) == (1, 2.0, 0.0)
    assert there["relative_mean"] == pytest.approx(0.025)
    assert (there["published_mean"], there["published_std"]) == (0.622, 0.428)


def test_risk_over_another_region_stands_beside_the_one_of_the_thesis():
    rows = [point("unpruned", 0.1, 1e-4, 90.0), point("unpruned", 0.1, 1e-3, 88.5)]
    one = study(rows=rows)
    one.record["study"]["roi"] = [2.0, 4.0]
    frame = booktables.risk_table([one])
    own, theirs = row(frame, roi=2.0), row(frame, roi=0.5)
    assert (own["n"], own["mean"]) == (2, 0.75) and math.isnan(own["published_mean"])
    assert (theirs["n"], theirs["mean"], theirs["published_mean"]) == (1, 0.0, 0.271)
    assert set(booktables.ellipses([one])["roi"]) == {0.5, 1.0, 2.0, 4.0}


def test_network_that_the_thesis_lacks_stands_beside_the_deeper_one_of_its_family():
    one = study(rows=[point("uniform-0.6", 0.1, 1e-4, 50.0), point("unpruned", 0.1, 1e-4, 51.0)])
    # Tables 3.2, 3.4 and 4.2 and section 4.1.1.
    one.record["study"]["model"] = "resnet20"
    there = row(booktables.risk_table([one]), variant="uniform-0.6")
    assert (there["model"], there["published_model"]) == ("resnet20", "resnet56")
    assert there["published_mean"] == 0.622
    assert booktables.bests([one])["published_top1"].tolist() == [94.05, 93.52]
    one.record["study"]["model"] = "mobilenetv2-shallow"
    there = booktables.priors([one]).iloc[0]
    assert (there["published_model"], there["published_top1"]) == ("mobilenetv2", 94.73)
    assert booktables.sizes([one], {}).loc[0, "published_params_millions"] == 2.2


def test_variant_that_the_thesis_lacks_keeps_its_row():
    rows = [point(name, 0.1, 1e-4, 80.0) for name in ("unpruned", "uniform-0.3")]
    there = row(booktables.risk_table([study(rows=rows)]), variant="uniform-0.3")
    assert math.isnan(there["published_mean"]) and there["mean"] == 0


def test_prior_accuracy_is_the_mean_over_seeds_at_the_prior():
    lrs, weight_decays = synthetic.grid()
    rows = [
        point("unpruned", lrs[3], weight_decays[3], 78.0, seed=0),
        point("unpruned", lrs[3], weight_decays[3], 79.0, seed=1),
        point("unpruned", lrs[2], weight_decays[3], 90.0),
    ]
    there = row(booktables.priors([study(rows=rows)]), model="resnet56")
    assert (there["top1"], there["seeds"], there["published_top1"]) == (78.5, 2, 93.34)
    rows = rows[2:]
    assert math.isnan(booktables.priors([study(rows=rows)]).loc[0, "top1"])


def test_flops_are_twice_the_macs_at_both_image_sizes():
    networks = {
        "resnet56": {
            "image_size": 32,
            "params": 853_018,
            "macs": 125_485_696,
            "macs_torch_pruning": 126_550_666,
        }
    }
    frame = booktables.sizes([study()], networks)
    full, own = row(frame, input_shape="32x32x3"), row(frame, input_shape="8x8x3")
    assert full["flops"] == 250_971_392 and own["flops"] == 15_800_000
    # Table 3.2 prints 2.5e8 for both counters.
    assert f"{full['flops']:.1e}" == f"{full['flops_torch_pruning']:.1e}" == "2.5e+08"
    assert full["published_flops"] == 2.5e8


def test_best_accuracy_comes_with_its_place_and_the_published_one():
    rows = [point("unpruned", 0.1, 1e-4, 80.0), point("unpruned", 0.01, 1e-3, 82.0)]
    there = booktables.bests([study(rows=rows)]).iloc[0]
    assert (there["top1"], there["lr"], there["weight_decay"]) == (82.0, 0.01, 1e-3)
    assert there["published_top1"] == 94.05


def test_checks_count_what_is_wrong_and_the_table_beside_it_names_it():
    edge = study(rows=[point("unpruned", lr, 1e-4, 70 + lr) for lr in (0.1, 0.2, 0.3)])
    there, named = booktables.checks(edge).iloc[0], booktables.warnings_table(edge)
    assert there["on_edge"] and there["warnings"] == len(named)
    assert {"optimum on edge", "few points"} <= set(named["kind"])
    inside = booktables.checks(study())
    assert not inside["on_edge"].any()
    # One point of 49 diverges for both seeds.
    assert inside["diverged"].tolist() == pytest.approx([1 / 49] * 5)


def test_checks_count_the_runs_that_are_still_to_be_trained():
    one = study(rows=[point("unpruned", 0.1, 1e-4, 80.0)])
    one.record["record"]["missing"] = {"unpruned": 97}
    assert booktables.checks(one)["missing"].tolist() == [97]
    assert booktables.checks(study())["missing"].tolist() == [0] * 5


def test_certificates_widths_and_provenance_say_what_the_record_says():
    one = study()
    there = row(recordtables.certificates(one), variant="uniform-0.2")
    assert (there["target"], there["smallest_width"]) == (0.2, 3)
    assert recordtables.widths(one).shape == (9, 5)
    facts = recordtables.provenance([one]).set_index("fact")["synthetic"]
    assert facts["torch pruning, where published"] == "1.6.1" and facts["seeds"] == "0, 1"
    assert facts["torch"] == one.record["record"]["torch"]
    assert facts["learning rates"].startswith("0.000631, ")


def test_rankings_tell_what_raw_norms_would_have_left_of_the_same_network():
    one = study()
    network = PrunableNetwork("resnet20", 10, 8)
    # Alike in all layers, but for their size, which is a thousandth in the first two.
    scores = {
        layer: [(1 + n / width) * (1e-3 if k < 2 else 1.0) for n in range(width)]
        for k, (layer, width) in enumerate(network.cost.widths.items())
    }
    one.record["ranking"] = {"weights_sha256": "0" * 64, "scores": scores}
    one.record["study"]["model"] = "resnet20"
    for made in one.record["certificates"].values():
        made["classes"] = 10
    frame = rankings([one])
    assert set(frame["variant"]) == {"nonuniform-0.6", "nonuniform-0.2"}
    raw = row(frame[frame["variant"] == "nonuniform-0.6"], criterion="l1")
    assert raw["channels"].startswith("1, 1, ") and raw["single"] >= 2
    own = row(frame[frame["variant"] == "nonuniform-0.6"], criterion="l1-normalised")
    assert own["single"] == 0
    del one.record["ranking"]
    assert rankings([one]).empty


def test_tables_come_with_their_training_and_the_checksum_of_their_file(tmp_path):
    rows = [point("unpruned", 0.1, 1e-4, 80.0) | {"seconds": 1800.0, "device": "cpu"}] * 3
    one = study(rows=rows)
    one.table.to_csv(tmp_path / f"{one.name}.csv", index=False)
    (tmp_path / f"{one.name}.json").write_text(json.dumps(one.record))
    (there,) = recordtables.tables(read_results([tmp_path]).values()).to_dict("records")
    assert (there["runs"], there["device"], there["hours"]) == (3, "cpu", 1.5)
    written = subprocess.run(
        ["sha256sum", tmp_path / f"{one.name}.csv"], capture_output=True, check=True, text=True
    ).stdout
    assert there["sha256"] == written.split()[0]
    assert recordtables.spent([one]) == "1.5 hours of one core of a CPU"


def test_rows_of_several_studies_say_which_network_they_are_of(monkeypatch):
    shown = []
    monkeypatch.setattr(pages, "show_table", lambda frame, *_: shown.append(list(frame)))
    two = [study(), study("mobilenetv2", name="other")]
    columns = ["study", "model", "variant", "claim"]
    pages.study_table(pd.DataFrame(columns=columns), "Both.", two)
    pages.study_table(pd.DataFrame(columns=["study", "variant", "claim"]), "Without.", two)
    again = [*two, study(name="third")]
    pages.study_table(pd.DataFrame(columns=columns), "One network twice.", again)
    assert shown == [columns[1:], ["study", "variant", "claim"], columns]


def test_html_table_separates_this_book_from_the_thesis():
    html = html_table(booktables.risk_table([study()]))
    assert '<th colspan="5" scope="colgroup">This book</th>' in html
    assert '<th colspan="5" scope="colgroup">Thesis</th>' in html
    assert html.count("<tr>") == 2 + 5 and ">0.5-ROI<" in html


def test_html_table_rounds_marks_gaps_and_escapes():
    frame = pd.DataFrame(
        {"layer": ["<conv>"], "log10_lr": [-1.234], "length": [math.nan], "flops": [2.5e8]}
    )
    html = html_table(frame)
    assert "&lt;conv&gt;" in html and "−1.23<" in html
    assert '<td class="number">–</td>' in html and "2.5×10⁸" in html


def test_study_smaller_than_the_thesis_is_labelled_so():
    one = study()
    assert one.scaled_down and one.label.startswith("ResNet-56, scaled-down study: 2,000")
    data, recipe = one.record["study"]["data"], one.record["study"]["recipe"]
    data.update(name="cifar10", train=50_000, test=10_000, image_size=32)
    recipe.update(epochs=180)
    assert not one.scaled_down
    assert one.label == (
        "ResNet-56, 50,000 CIFAR-10 images of 32×32 pixels, 180 epochs, tested on 10,000 images"
    )


def test_sampling_error_is_the_binomial_one():
    one = study(rows=[point("unpruned", 0.1, 1e-4, 50.0)])
    one.record["study"]["data"]["test"] = 2500
    assert one.sampling_error() == pytest.approx(1.0)


def test_titles_of_variants_and_regions():
    assert roi_title(0.5) == "0.5-ROI" and roi_title(1.0) == "1.0-ROI"
    assert roi_title(0.1 + 19 * 0.1) == "2.0-ROI" and roi_title(0.25) == "0.25-ROI"
    assert variant_title("nonuniform-0.2") == "Non-uniform, 20 % FLOPs"
    assert variant_title("my-network") == "my-network"


def test_own_results_stand_in_for_published_ones_of_the_same_name(tmp_path):
    names = synthetic.write(tmp_path / "published", points=3, seeds=1)
    synthetic.write(tmp_path / "own", points=5, seeds=1)
    (tmp_path / "own" / f"{names[0]}.csv").unlink()
    found = read_results([tmp_path / "published", tmp_path / "own", tmp_path / "none"])
    assert list(found) == names
    assert [len(found[name].table) for name in names] == [5 * 9, 5 * 25]


def test_results_that_cannot_be_read_are_refused_by_name(tmp_path):
    with pytest.raises(HpstudyError, match="published"):
        read_study("synthetic-resnet56", [tmp_path])
    name = synthetic.write(tmp_path, points=3, seeds=1)[0]
    with pytest.raises(HpstudyError, match="did you mean 'synthetic-resnet56'"):
        read_study("synthetic-resnt56", [tmp_path])
    (tmp_path / f"{name}.json").write_text("{}")
    with pytest.raises(HpstudyError, match="lacks the key 'study'"):
        read_results([tmp_path])
    (tmp_path / f"{name}.json").unlink()
    with pytest.raises(HpstudyError, match="lacks its record"):
        read_results([tmp_path])


def test_sizes_of_networks_are_optional(tmp_path):
    folders = [tmp_path / "results", tmp_path / "none" / "results"]
    assert read_networks(folders) == {}
    (tmp_path / "measurements").mkdir()
    (tmp_path / "measurements" / "networks.json").write_text('{"resnet56": {"macs": 1}}')
    assert read_networks(folders) == {"resnet56": {"macs": 1}}


def test_root_is_found_from_below_and_refused_elsewhere(tmp_path):
    for mark in ("notebooks/sweep.ipynb", "book/_toc.yml"):
        (tmp_path / mark).parent.mkdir()
        (tmp_path / mark).touch()
    assert find_root(tmp_path / "notebooks") == tmp_path
    (tmp_path / "book" / "_toc.yml").unlink()
    with pytest.raises(HpstudyError, match="no clone"):
        find_root(tmp_path / "notebooks")
