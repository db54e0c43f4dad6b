"""Names from users are refused or escaped: they are never a path elsewhere and never markup."""

import json
from html.parser import HTMLParser

import pandas as pd
import plotly.graph_objects as go
import pytest
import synthetic
import tiny

from hpstudy.analysis.comparison import Comparison, as_dict, read_runs
from hpstudy.analysis.study_results import read_results
from hpstudy.config.study import Study
from hpstudy.report.full_tables import show_full
from hpstudy.report.notebook import show
from hpstudy.report.record_tables import provenance_table
from hpstudy.storage.tables import is_plain

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "<b>bold</b>",
    '<a href="javascript:alert(1)">a</a>',
    "&lt;b&gt; &amp;",
    "$x$ and \\(y\\)",
    "`code` **bold** {ref}`there`",
    "[a](javascript:alert(1)) ![b](c)",
    "../../etc/x",
    "/etc/x",
    "..",
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
]
ALL = " ".join(HOSTILE)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.data = [], "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, *(name for name, _ in attributes)))

    def handle_data(self, data):
        if self.elements[-1:] and self.elements[-1][0] == "script":
            self.data += data
        self.text += data


def same(draw, name, harmless="a"):
    """A page of a name, which has the elements that it has with a harmless one."""
    page = Page(draw(name))
    assert page.elements == Page(draw(harmless)).elements
    return page


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    (name,) = synthetic.write(folder, 3, 1, ["resnet56"])
    return folder, read_results([folder])[name]


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_study_is_not_called(name):
    with pytest.raises(ValueError, match="^1 validation error for Study\nname\n"):
        Study.model_validate(tiny.changed(tiny.STUDY, {"name": name}))


@pytest.mark.parametrize("name", HOSTILE)
def test_published_network_or_hyperparameter_is_not_called(name, study, tmp_path, refused):
    folder, _ = study
    assert not is_plain(name)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = pd.read_csv(folder / "synthetic-resnet56.csv")
    for spoilt in (table.replace("uniform-0.2", name), table.assign(**{name: 1})):
        spoilt.to_csv(tmp_path / "synthetic-resnet56.csv", index=False)
        assert "a name on a page" in refused(read_results, [tmp_path])


# --- shown as they are ----------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """The HTML that a function displays."""

    def shown(content, caption=""):
        parts = []
        monkeypatch.setattr("IPython.display.display", lambda one, **options: parts.append(one))
        show(content, caption)
        return "".join(one["text/html"] if isinstance(one, dict) else one.data for one in parts)

    return shown


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_and_captions_escape(name, shown):
    def draw(word):
        frame = pd.DataFrame({"layer": [word], word: [word], "variant": [word]})
        return shown({word: frame.set_index("layer")}, word)

    page = same(draw, name)
    # Caption and title, a heading, three cells.
    assert page.text.count(name) >= 5 or name in ("..", "+1", "-1")


@pytest.mark.parametrize("name", HOSTILE)
def test_figures_carry_as_data(name, shown):
    def draw(word):
        figure = go.Figure(layout={"title": {"text": word}})
        return shown(figure, word)

    page = same(draw, name)
    assert json.loads(page.data)["layout"]["title"]["text"] == name
    # After "<!--<script>" a browser would take the end of the script for a part of it.
    assert "<!--" not in draw(name)


def test_provenance_shows_data_folder_and_command(study, shown):
    published = study[1]

    def of(word):
        said = {"study.data.name": f"folder:{word}", "record.command": f"hpstudy run {word}"}
        record = tiny.changed(published.record, said)
        return type(published)(published.name, published.table, record)

    page = same(lambda word: shown(provenance_table([of(word)])), ALL)
    assert f"folder:{ALL}" in page.text and f"hpstudy run {ALL}" in page.text


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable()])
def test_own_table_is_compared_with_its_names(name, tmp_path, capsys):
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), (name, 0.1, 1e-4, 0, 92.0)]
    path = tmp_path / "runs.csv"
    header = ["variant", "lr", "weight_decay", "seed", "top1"]
    pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    comparison = Comparison.of(read_runs(path))
    result = json.loads(json.dumps(as_dict(comparison)))
    assert list(result["landscapes"]) == ["unpruned", name]
    show_full(comparison)
    assert f"\n{name} " in capsys.readouterr().out
