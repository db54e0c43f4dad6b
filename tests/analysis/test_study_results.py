"""Published studies: what is read, and what a record says of its study."""

import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.study_results import StudyResults, read_results, read_study
from hpstudy.errors import HpstudyError


def study(model="resnet56", rows=None, name="synthetic"):
    table = synthetic.table(name, model) if rows is None else pd.DataFrame(rows)
    return StudyResults(name, table, synthetic.record(name, model))


def test_study_with_fewer_images_or_epochs_than_the_thesis_is_scaled_down():
    one = study()
    assert one.scaled_down
    data, recipe = one.record["study"]["data"], one.record["study"]["recipe"]
    data.update(name="cifar10", train=50_000, test=10_000, image_size=32)
    assert one.scaled_down
    recipe.update(epochs=180)
    assert not one.scaled_down


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
