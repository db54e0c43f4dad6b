"""Export to ONNX: equal outputs in onnxruntime, and no file without them."""

import nets
import onnxruntime
import pytest
import torch

from hpstudy.networks import onnx_export, prune

IMAGE = torch.zeros(1, 3, 8, 8)


def run(path, **inputs):
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    found = onnxruntime.InferenceSession(path).run(None, arrays)
    return torch.from_numpy(found[0])


@pytest.mark.slow  # the exporter takes a second
def test_pruned_network_gives_the_same_outputs_for_any_batch(tmp_path, capfd):
    small, _ = prune(nets.Residual(), IMAGE, 0.5, tolerance=0.1)
    small.train()
    report = onnx_export.export_onnx(small, IMAGE, tmp_path / "model.onnx")
    assert small.training and report.dynamic_batch and report.difference < 1e-5
    small.eval()
    for batch in (1, 5):
        image = torch.rand(batch, 3, 8, 8)
        with torch.no_grad():
            expected = small(image)
        found = run(tmp_path / "model.onnx", x=image)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_batch_is_fixed_where_the_network_fixes_it(tmp_path):
    model = nets.Chain(lambda y: y.mean((2, 3)).reshape(1, 12))
    report = onnx_export.export_onnx(model, IMAGE, tmp_path / "model.onnx")
    assert not report.dynamic_batch
    assert run(tmp_path / "model.onnx", x=IMAGE).shape == (1, 5)


@pytest.mark.slow
def test_outputs_that_differ_leave_no_file(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(onnx_export, "TOLERANCE", -1.0)
    (tmp_path / "old.onnx").write_text("old")
    words = refused(onnx_export.export_onnx, nets.Chain(), IMAGE, tmp_path / "old.onnx")
    assert "onnxruntime's outputs differ from torch's by " in words and "more than -1" in words
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_missing_package_is_named(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "gone"))
    words = refused(onnx_export.export_onnx, nets.Chain(), IMAGE, tmp_path / "model.onnx")
    assert words == "ONNX needs the package gone; type `pip install 'hpstudy[deploy]'`."
