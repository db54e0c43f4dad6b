"""A params file: what it may hold, what it means, and the identity of the runs it asks for."""

import hashlib
import json
from pathlib import Path

import pytest
import tiny
import yaml
from pydantic import BaseModel

from hpstudy.config.grid import Grid, Prior
from hpstudy.config.runspec import SCHEMA, RunSpec
from hpstudy.config.study import Data, Recipe, Study, parse_variant

ROOT = Path(__file__).parents[2]
PARAMS = sorted(ROOT.glob("params/*/*.yaml"))


# --- what is refused ------------------------------------------------------------------------------

# One by one and in full: tests/support/badinput.py.


def test_all_faults_of_a_file_are_reported_at_once(tmp_path, refused):
    path = tiny.write_study(tmp_path / "s.yaml", {"modle": "x", "seeds": [-1], "recipe.epochs": 0})
    words = refused(Study.load, path)
    assert all(key in words for key in ("modle", "seeds.0", "recipe.epochs"))


@pytest.mark.parametrize("content", [b"", b"- 1\n- 2\n", b"a: [1", b"a:\n\t- 1", b"\xff\xfe\x00"])
def test_file_that_is_no_yaml_mapping_is_refused(content, tmp_path, refused):
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    assert str(path) in refused(Study.load, path)


def test_missing_file_is_refused_with_the_nearest_one(monkeypatch, refused):
    monkeypatch.chdir(ROOT)
    words = refused(Study.load, "params/thesis/resnt56.yaml")
    assert "did you mean 'params/thesis/resnet56.yaml'?" in words


def test_study_cannot_be_changed_after_it_is_read():
    with pytest.raises(ValueError, match="frozen"):
        tiny.study().model = "resnet50"


# --- what a file means ----------------------------------------------------------------------------


def test_nine_points_around_a_tenth_are_two_tenths_of_a_decade_apart():
    axis = {"points": 9, "step": 0.2}
    study = tiny.study({"prior.lr": 0.1, "grid.lr": axis})
    # 10 ** -1.8, -1.6, ... -0.2, to six digits.
    assert study.grid.values("lr", study.prior) == (
        *(0.0158489, 0.0251189, 0.0398107, 0.0630957, 0.1),
        *(0.158489, 0.251189, 0.398107, 0.630957),
    )


def test_an_even_number_of_points_lies_around_the_prior():
    study = tiny.study({"prior.weight_decay": 1e-4, "grid.weight_decay": {"points": 2, "step": 2}})
    assert study.grid.values("weight_decay", study.prior) == (1e-5, 1e-3)


def test_listed_values_are_sorted_and_exponents_without_a_point_are_numbers(tmp_path):
    # YAML 1.1 reads 1e-4 as text.
    path = tiny.write_study(tmp_path / "s.yaml", {"grid.weight_decay": [0.01, "1e-4"]})
    assert "- 1e-4\n" in path.read_text()
    study = Study.load(path)
    assert study.grid.values("weight_decay", study.prior) == (1e-4, 0.01)


def test_the_dense_network_is_always_the_first_variant():
    assert tiny.study({"variants": ["uniform-0.6"]}).variants == ("unpruned", "uniform-0.6")
    assert tiny.study({"variants": ["uniform-0.6", "unpruned"]}).variants[0] == "unpruned"
    assert tiny.study({"variants": []}).variants == ("unpruned",)


@pytest.mark.parametrize(
    "name, meaning",
    [
        ("unpruned", ("unpruned", 1.0)),
        ("uniform-0.6", ("uniform", 0.6)),
        ("nonuniform-0.2", ("nonuniform", 0.2)),
        ("uniform-0.0625", ("uniform", 0.0625)),
    ],
)
def test_variant_name_is_a_method_and_the_flops_that_remain(name, meaning):
    assert parse_variant(name) == meaning


@pytest.mark.parametrize(
    "name", ["", "uniform", "uniform-60", "uniform-.6", "Uniform-0.6", "l1-0.6"]
)
def test_any_other_variant_name_is_refused(name, refused):
    assert repr(name) in refused(parse_variant, name)


def test_a_study_can_be_cut_to_one_pruned_variant(refused):
    study = tiny.study({"variants": ["uniform-0.6", "uniform-0.2"]})
    assert study.with_variants("all") == study
    assert study.with_variants("uniform-0.2").variants == ("unpruned", "uniform-0.2")
    assert study.with_variants("unpruned").variants == ("unpruned",)
    words = refused(study.with_variants, "unifrom-0.2")
    assert "did you mean 'uniform-0.2'?" in words and "all" in words


def test_replicates_are_none_unless_asked_for_and_four_points_beside_the_regions():
    assert tiny.study().replicates is None
    replicates = tiny.study({"seeds": [0, 1], "replicates": {"seeds": [2, 3]}}).replicates
    assert (replicates.seeds, replicates.random) == ((2, 3), 4)


# --- what is shipped ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PARAMS, ids=[f"{p.parent.name}/{p.stem}" for p in PARAMS])
def test_shipped_file_loads_and_is_named_after_its_profile_and_family(path):
    study = Study.load(path)
    # A function's name has no hyphen.
    family = study.model.split("-")[0].rpartition(":")[2].replace("_", "-")
    assert family == path.stem
    assert study.name == f"{path.parent.name}-{path.stem}"
    assert len(study.variants) > 1


# Tables 3.3 and 3.4, sections 3.2.4 and 3.3: batch, epochs, decays, points, step, variants.
CIFAR = (128, 180, (90, 135), 9, 0.2)
THESIS = {
    "resnet56": (*CIFAR, {"uniform-0.6", "uniform-0.2", "nonuniform-0.6", "nonuniform-0.2"}),
    "mobilenetv2": (*CIFAR, {"uniform-0.6", "uniform-0.4", "nonuniform-0.6", "nonuniform-0.4"}),
    "resnet50": (256, 90, (30, 60), 3, 0.4, {"nonuniform-0.4"}),
}


@pytest.mark.parametrize("model", THESIS)
def test_thesis_study_holds_the_values_of_tables_3_3_and_3_4(model):
    study = Study.load(ROOT / "params" / "thesis" / f"{model}.yaml")
    batch, epochs, decays, points, step, variants = THESIS[model]
    assert study.recipe == Recipe(
        epochs=epochs, batch_size=batch, momentum=0.9, lr_decay=0.1, lr_decay_epochs=decays
    )
    assert study.prior == Prior(lr=0.1, weight_decay=1e-4)
    image_net = model == "resnet50"
    # Section 3.3 extends its grids by hand; how far, it does not say.
    axis = {"points": points, "step": step, "extend": 3 if image_net else 4}
    assert study.grid == Grid(lr=axis, weight_decay=axis) and study.racing is False
    assert set(study.variants) == {"unpruned", *variants}
    assert study.data == Data(
        name="imagenet" if image_net else "cifar10", image_size=224 if image_net else 32
    )


def test_a_weight_decay_of_0_may_be_listed_and_a_learning_rate_of_0_may_not(tmp_path, refused):
    path = tmp_path / "zero.yaml"
    tiny.write_study(path, {"grid.weight_decay": [1e-4, 0, "1e-3"]})
    study = Study.load(path)
    assert study.grid.values("weight_decay", study.prior) == (0.0, 1e-4, 1e-3)
    assert study.grid.most_points() == 6
    for changes, key in (
        ({"grid.lr": [0, 0.1]}, "grid.lr.0 must be greater than 0, not 0"),
        ({"prior.weight_decay": 0}, "prior.weight_decay must be greater than 0, not 0"),
        ({"grid.weight_decay": [-1e-4]}, "grid.weight_decay.0 must be greater than or equal to 0"),
        # It would be one setting with two ids.
        ({"grid.weight_decay": [-0.0]}, "grid.weight_decay.0 must be 0 or above"),
        ({"grid.weight_decay": [0, 0.0]}, "grid.weight_decay must hold one or more distinct"),
    ):
        tiny.write_study(path, changes)
        assert key in refused(Study.load, path)


# --- the identity of a run ------------------------------------------------------------------------

PINNED = [
    ({}, "309c5f6a09c0e961"),
    ({"lr": 0.0158489, "weight_decay": 1e-05}, "175c3a962106a942"),
    ({"weight_decay": 0}, "af7c269e7b60c8eb"),
    ({"seed": 1}, "d318b94fb645d2c5"),
    ({"widths": {"blocks.0.conv1": 9, "blocks.1.conv1": 10}}, "39ba200c8282ee3f"),
    ({"data.name": "folder:flowers", "fingerprint": "0123456789abcdef"}, "295a8735149aa40a"),
    ({"data.holdout": 0.1, "data.train_images": 1000}, "2e6d45eb7fbc0e41"),
]


def test_ids_of_many_settings_are_those_of_the_runs_themselves():
    settings = [(0.1, 1e-05, 0), (1e-7, 3.16228e-05, 2**62), (1, 0, 7)]
    for changes in ({}, {"widths": {"layer": 3}}, {"fingerprint": "ab", "widths": {"layer": 1}}):
        values = tiny.changed(tiny.SPEC, changes)
        wanted = [
            RunSpec(**{**values, "lr": lr, "weight_decay": weight_decay, "seed": seed}).run_id
            for lr, weight_decay, seed in settings
        ]
        assert tiny.spec(changes).run_ids(settings) == wanted


@pytest.mark.parametrize("changes, run_id", PINNED, ids=[str(changes) for changes, _ in PINNED])
def test_run_id_is_what_it_has_always_been(changes, run_id):
    """None of these may change without raising SCHEMA: old stores would be trained again."""
    assert tiny.spec(changes).run_id == run_id


def test_run_id_is_the_hash_of_every_field_as_canonical_json():
    text = (
        '{"arithmetic":"float32","data":{"holdout":"test","image_size":32,"name":"cifar10",'
        '"test_images":null,"train_images":null},"fingerprint":null,"lr":0.1,"model":"resnet56",'
        '"recipe":{"batch_size":128,"epochs":180,"lr_decay":0.1,"lr_decay_epochs":[90,135],'
        '"momentum":0.9},"schema_version":2,"seed":0,"weight_decay":0.0001,"widths":null}'
    )
    assert SCHEMA == 2
    assert tiny.spec().run_id == hashlib.sha256(text.encode()).hexdigest()[:16]


# One other value of every field that a run has.
OTHER = {
    "model": "mobilenetv2",
    "data.name": "cifar100",
    "data.image_size": 16,
    "data.train_images": 1000,
    "data.test_images": 1000,
    "data.holdout": 0.1,
    "data.arguments": {"split": "letters"},
    "fingerprint": "0123456789abcdef",
    "recipe.epochs": 181,
    "recipe.batch_size": 127,
    "recipe.momentum": 0.8,
    "recipe.lr_decay": 0.2,
    "recipe.lr_decay_epochs": [90, 136],
    "lr": 0.10000000000000002,
    "weight_decay": 0.00011,
    "seed": 1,
    "widths": {"blocks.0.conv1": 9},
    "network": {"arguments": {}, "stem": None, "sha256": "0" * 64},
    "arithmetic": "bfloat16",
    "schema_version": 3,
}


def fields(model, prefix=""):
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_field_of_a_run_changes_its_id():
    assert set(fields(RunSpec)) == set(OTHER)
    ids = {tiny.spec({field: value}).run_id for field, value in OTHER.items()}
    assert len(ids | {tiny.spec().run_id}) == len(OTHER) + 1


def test_each_part_of_a_network_from_a_source_changes_the_id():
    network = OTHER["network"]
    changes = ({}, {"arguments": {"lr": "<lr>"}}, {"stem": "small"}, {"sha256": "1" * 64})
    specs = [tiny.spec({"network": network | change}) for change in changes]
    assert len({spec.run_id for spec in specs}) == 4
    assert all(spec.run_ids([(spec.lr, spec.weight_decay, 0)]) == [spec.run_id] for spec in specs)


def test_arguments_of_a_data_set_are_written_only_where_there_are_some():
    assert "arguments" not in tiny.study().model_dump()["data"]
    for none in (None, {}):
        assert tiny.spec({"data.arguments": none}).run_id == PINNED[0][1]
    given = tiny.study({"data.arguments": {"size": [3, 8]}})
    assert given.model_dump(mode="json")["data"]["arguments"] == {"size": [3, 8]}
    assert tiny.study({"data": given.model_dump()["data"]}) == given


@pytest.mark.parametrize(
    "name, arguments, run_id",
    [
        ("folder:flowers", None, "folder"),
        ("torchvision:SVHN", {"split": "extra"}, "torchvision:SVHN"),
        ("mine.sets:flowers", {"folder": "/scratch/flowers"}, "factory"),
    ],
)
def test_images_that_a_fingerprint_identifies_have_no_place_in_the_id(name, arguments, run_id):
    study = tiny.study({"data.name": name, "data.arguments": arguments})
    data = RunSpec.at_prior(study, "0123456789abcdef", None, "float32").data
    kept = arguments if name == run_id else None
    assert (data.name, data.arguments) == (run_id, kept)


def test_run_id_does_not_depend_on_the_order_of_keys(tmp_path):
    widths = {"blocks.0.conv1": 9, "blocks.1.conv1": 10}
    spec = tiny.spec({"widths": widths})
    backwards = json.loads(json.dumps(tiny.changed(tiny.SPEC, {})))
    backwards["widths"] = dict(reversed(widths.items()))
    backwards["data"] = dict(reversed(backwards["data"].items()))
    assert RunSpec(**dict(reversed(backwards.items()))).run_id == spec.run_id
    path = tmp_path / "backwards.yaml"
    path.write_text(yaml.safe_dump(dict(reversed(tiny.STUDY.items())), sort_keys=False))
    assert Study.load(path) == tiny.study()
