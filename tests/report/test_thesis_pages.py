"""Every figure and table of the thesis has its place in the book, and the drawings are legible."""

import re
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
import sample_images
from PIL import Image
from synthetic import REPOSITORY

from hpstudy.analysis.study_results import read_results
from hpstudy.analysis.thesis_claims import agreement, by_claim
from hpstudy.analysis.thesis_data import literature, table_3_5
from hpstudy.networks.models import MobileNetV2Cifar, build_model
from hpstudy.report.tables import decisive
from hpstudy.report.thesis_tables import confidence_table
from hpstudy.report.verdicts import tally, verdict_groups

# The thesis's lists of figures and of tables.
FIGURES = ["1.1", *[f"2.{n}" for n in range(1, 10)], "3.1", *[f"4.{n}" for n in range(1, 6)]]
TABLES = ["2.1", "2.2", "2.3", *[f"3.{n}" for n in range(1, 6)], "4.1", "4.2"]
NAMED = [f"figure-{number}" for number in FIGURES] + [f"table-{number}" for number in TABLES]
DRAWINGS = sorted((REPOSITORY / "book" / "_static" / "drawings").glob("*.svg"))


def text(name):
    book = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells)


@pytest.mark.parametrize("name", [name.replace(".", "-") for name in NAMED])
def test_every_figure_and_table_of_the_thesis_has_an_anchor_that_its_list_links(name):
    assert f"({name})=" in text("thesis") + text("background")
    assert f"](#{name})" in text("thesis")


@pytest.mark.parametrize("number", FIGURES)
def test_every_figure_bears_its_number(number):
    assert re.search(rf"Figure {re.escape(number)}[.,] ", text("thesis") + text("background"))


def cells(page, row):
    """Cells of the row of a page's table that begins with a word."""
    (line,) = re.findall(rf"^\| {re.escape(row)} \|.*$", page, flags=re.MULTILINE)
    return [cell.strip(" *") for cell in line.split("|")[1:-1]]


def test_table_2_2_holds_the_network_that_is_built():
    page = text("background")
    bottlenecks = re.findall(r"^\| bottleneck \|(.*)\|$", page, flags=re.MULTILINE)
    rows = [[int(cell.strip(" *")) for cell in row.split("|")] for row in bottlenecks]
    stages = {channels: (expansion, blocks, stride) for expansion, channels, blocks, stride in rows}
    assert stages == MobileNetV2Cifar.STAGES
    assert cells(page, "3×3 convolution")[2:] == ["32", "1", "1"]
    assert cells(page, "1×1 convolution")[2] == "1280"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "column"), [("resnet50", 1), ("resnet56", 2)])
def test_table_2_1_holds_the_network_that_is_built(model, column):
    network, page = build_model(model), text("background")
    built = [
        f"{module.kernel_size[0]}×{module.kernel_size[0]}, {module.out_channels}"
        for name, module in network.named_modules()
        if type(module).__name__ == "Conv2d" and "downsample" not in name
    ]
    printed = [cells(page, "stem")[column].split(", stride")[0].split(";")[0]]
    for stage in "1234":
        *convolutions, blocks = cells(page, stage)[column].split("; ")
        printed += convolutions * int(blocks.split()[0]) if convolutions else []
    assert printed == built


def test_table_3_5_is_computed():
    table = confidence_table()
    assert (table["This book", "outside"] - table["Thesis", "outside"]).abs().max() < 5e-5
    assert len(table_3_5()) == 4


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_drawing_takes_the_ink_of_the_page_and_is_legible_on_a_phone(path):
    source = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(source)
    assert "currentColor" in source and not re.search(r"#(000|fff)|black|white", source)
    # A phone of 400 pixels shows at most a tenth less.
    assert float(root.get("viewBox").split()[2]) <= 400 and root.get("role") == "img"
    assert min(map(int, re.findall(r'font-size="(\d+)"', source))) >= 12
    assert f'drawing("{path.stem}")' in text("background")


@pytest.mark.slow
def test_sample_images_are_one_of_each_class_at_each_size():
    with Image.open(sample_images.PATH) as figure:
        assert figure.size == (10 * 68, 3 * 68) and "alt=" in text("thesis")
        assert (np.asarray(figure) == np.asarray(sample_images.drawn())).all()
    assert f'src="_static/{sample_images.PATH.name}"' in text("thesis")


@pytest.mark.slow
def test_prose_on_the_literature_holds_for_the_published_tables():
    # "Somebody who follows them for training from scratch pays for it."
    studies = decisive(read_results([REPOSITORY / "book" / "results"]).values())
    counts = (
        by_claim(agreement(studies, literature())).groupby("section")[["agrees", "differs"]].sum()
    )
    assert (counts.loc[["half", "fifth"], "agrees"] == 0).all()
    assert (counts.loc[["half", "fifth"], "differs"] > 5).all()


@pytest.mark.slow
def test_limits_count_the_verdicts_of_the_published_tables():
    page = (REPOSITORY / "book" / "limits.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*), now \| (\d+) \| (\d+) \| (\d+) \|$", page, flags=re.MULTILINE)
    counts = tally(
        verdict_groups(decisive(read_results([REPOSITORY / "book" / "results"]).values()))
    )
    answers = ("keep", "retune", "inconclusive")
    titles = {"both": "both", "lr": "learning rate", "weight_decay": "weight decay"}
    expected = {(titles[key], *(str(given[a]) for a in answers)) for key, given in counts.items()}
    assert set(rows) == expected
