"""`hpstudy init` writes files that load, for any network and data, and overwrites none."""

import ast
from pathlib import Path

import pytest
from badinput import command, run_command
from readme_table import ROOT

from hpstudy.analysis.study_results import read_result
from hpstudy.analysis.timescale import Schedule, expected_prior
from hpstudy.config.command_study import load_study


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    """Files are written to an empty folder."""
    monkeypatch.chdir(tmp_path)


def test_it_writes_a_study_of_an_example_network():
    status, output, _ = run_command("init")
    assert status == 0 and "mine.yaml, nets.py" in output and "hpstudy run mine.yaml" in output
    study = load_study("mine.yaml")
    assert (study.name, study.model) == ("mine", "nets:make") and len(study.variants) == 3
    assert "def make(" in Path("nets.py").read_text()


def test_names_of_network_data_and_study_are_in_all_files():
    data = 'folder:my "photos" #1'
    words = ("--model", "timm:resnet10t", "--data", data)
    assert run_command("init", "a.yaml", *words)[0] == 0
    study = load_study("a.yaml")
    assert (study.name, study.model, study.data.name) == ("a", words[1], data)
    assert run_command("init", "b.yaml", "--command", *words)[0] == 0
    study = load_study("b.yaml")
    assert (study.name, study.model, study.fixed["data"]) == ("b", words[1], data)
    code = ast.parse(Path("train.py").read_text())
    assert words[1] in [node.value for node in ast.walk(code) if isinstance(node, ast.Constant)]
    assert sorted(path.name for path in Path().iterdir()) == ["a.yaml", "b.yaml", "train.py"]


def test_a_second_study_shares_files_that_nobody_has_changed():
    assert run_command("init", "a.yaml", "--command")[0] == 0
    assert run_command("init", "b.yaml", "--command")[0] == 0
    Path("train.py").write_text("# mine\n")
    assert "train.py is there already" in command("init", "c.yaml", "--command")


def test_classes_of_a_folder_are_counted():
    for name in ("cat", "dog", "newt", ".hidden"):
        Path("shapes", "train", name).mkdir(parents=True)
    assert run_command("init", "a.yaml", "--command", "--data", "folder:shapes")[0] == 0
    assert load_study("a.yaml").arguments == {"num_classes": 3}


def test_the_prior_of_a_study_is_that_of_another_schedule():
    table = ROOT / "book" / "results" / "cpu-resnet20.csv"
    assert run_command("init", "a.yaml", "--prior-from", table)[0] == 0
    study, own = load_study("a.yaml"), read_result(table)
    schedule = Schedule(4200, 64, 8)  # 6,000 images less three tenths
    expected = expected_prior(own, schedule)
    assert (study.prior.lr, study.prior.weight_decay) == pytest.approx(expected, rel=0.05)
    words = command("init", "b.yaml", "--command", "--prior-from", str(table))
    assert words.startswith("the schedule of a command is not known")


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("mine.yaml --model nets:make", "mine.yaml is there already"),
        ("b.yaml", "nets.py is there already, and init overwrites nothing; write into another "),
        ("b.yaml --model resnet", "b.yaml: unknown model 'resnet' (did you mean"),
        ("B.yaml --model nets:make", "B.yaml: name must match pattern"),
        ("gone/b.yaml", "gone/b.yaml cannot be written: No such file or directory"),
    ],
)
def test_it_refuses_what_is_there_and_what_is_unknown_and_writes_nothing(words, sentence):
    Path("mine.yaml").write_text("mine")
    Path("nets.py").write_text("mine")
    assert command("init", *words.split()).startswith(sentence)
    assert {path.name: path.read_text() for path in Path().iterdir()} == {
        "mine.yaml": "mine",
        "nets.py": "mine",
    }
