"""What users have in their folders: images of every mode, turned or damaged, and other files."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from hpstudy.config.study import Data
from hpstudy.training.datasets import dataset_size, load_dataset
from hpstudy.training.image_folders import fingerprint

RANDOM = np.random.default_rng(9)
ORIENTATION = 0x0112


def noise(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two classes with names as users give them, two images each in train and in test."""
    folder = tmp_path / "my flowers"
    for part in ("train", "test"):
        for name in ("Rose rouge", "Gänseblümchen 雛菊"):
            (folder / part / name).mkdir(parents=True)
            for k in range(2):
                Image.fromarray(noise(18, 18, 3)).save(folder / part / name / f"bild {k}.PNG")
    return folder


def spec(folder, **options):
    return Data(name=f"folder:{folder}", image_size=16, **options)


def first(folder, name="bild 0.PNG"):
    return folder / "train" / "Gänseblümchen 雛菊" / name


def read_first(folder):
    return load_dataset(spec(folder)).train.images[0].permute(1, 2, 0).numpy()


def plain_hash(folder):
    """The hash of a folder of plain images, as it has always been."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name} {path.stat().st_size}\n".encode() + path.read_bytes()[:4096])
    return digest.hexdigest()[:16]


def test_names_with_spaces_and_letters_of_other_languages_are_read(folder):
    wanted = np.asarray(Image.open(first(folder)))
    assert np.array_equal(read_first(folder), wanted)
    assert fingerprint(spec(folder), folder) == plain_hash(folder)
    # A name that is no UTF-8, as on a disk of another system.
    with Image.open(first(folder)) as image:
        image.save(Path(os.fsdecode(os.fsencode(first(folder).parent) + b"/\xe4.png")))
    assert dataset_size(spec(folder)).train == 5 and len(fingerprint(spec(folder), folder)) == 16


@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_are_turned_upright_as_their_exif_data_say(turn, folder):
    path = first(folder)
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    # Such as a camera's; the orientation comes before.
    exif[0x927C] = b"maker" * 1000
    with Image.open(path) as image:
        image.save(path, "JPEG", exif=exif, quality=95)
    with Image.open(path) as image:
        assert np.array_equal(read_first(folder), np.asarray(ImageOps.exif_transpose(image)))
    # Only sets that were read otherwise before are other sets now.
    assert (fingerprint(spec(folder), folder) == plain_hash(folder)) == (turn == 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data_are_no_reason_to_refuse_an_image(folder):
    path = first(folder)
    with Image.open(path) as image:
        image.save(path, "JPEG", exif=b"Exif\0\0MM\0\x2a\0\0\xff\xff\x01\x12")
    assert read_first(folder).shape == (18, 18, 3)
    assert fingerprint(spec(folder), folder) == plain_hash(folder)


def test_images_of_16_bits_are_scaled_to_8(folder):
    values = np.linspace(0, 65535, 324).round().astype(np.uint16).reshape(18, 18)
    Image.fromarray(values).save(first(folder))
    wanted = (values / 257).round().astype(np.uint8)
    assert all(np.array_equal(read_first(folder)[:, :, colour], wanted) for colour in range(3))
    # Pillow cut them at 255.
    assert fingerprint(spec(folder), folder) != plain_hash(folder)


@pytest.mark.filterwarnings("error")
def test_transparent_palettes_cmyk_and_grey_with_alpha_are_read_without_a_warning(folder):
    colours = Image.fromarray(noise(18, 18, 3))
    palette = colours.convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(first(folder), transparency=bytes(range(256)))
    assert np.array_equal(read_first(folder), np.asarray(palette.convert("RGB")))
    for image, suffix in ((colours.convert("LA"), "PNG"), (colours.convert("CMYK"), "JPEG")):
        image.save(first(folder), suffix)
        with Image.open(first(folder)) as stored:
            assert np.array_equal(read_first(folder), np.asarray(stored.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_of_an_animation_the_first_image_is_read(suffix, folder):
    frames = [Image.new("RGB", (18, 18), colour) for colour in ("red", "green")]
    first(folder).unlink()
    path = first(folder, f"bild 0.{suffix}")
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert (read_first(folder) == [[255, 0, 0]]).all()


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", None])
def test_empty_and_truncated_files_are_refused_by_name(content, folder, refused):
    path = first(folder)
    path.write_bytes(path.read_bytes()[:500] if content is None else content)
    words = refused(load_dataset, spec(folder))
    assert words == f"{path} cannot be read as an image."


def test_hidden_files_and_other_files_are_left_out_and_nested_images_are_not(folder):
    rose = folder / "train" / "Rose rouge"
    # As macOS, Jupyter and Windows leave them.
    (rose / "._bild 0.PNG").write_bytes(b"no image")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    (rose / "Thumbs.db").write_bytes(b"no image")
    (rose / "labels.csv").write_text("no image")
    assert dataset_size(spec(folder)).train == len(load_dataset(spec(folder)).train) == 4
    assert fingerprint(spec(folder), folder) == plain_hash(folder)
    (rose / "2021" / "mai").mkdir(parents=True)
    Image.fromarray(noise(18, 18, 3)).save(rose / "2021" / "mai" / "1.webp")
    assert dataset_size(spec(folder)).train == len(load_dataset(spec(folder)).train) == 5
    # The first versions left it out.
    assert fingerprint(spec(folder), folder) != plain_hash(folder)


def test_held_out_share_needs_no_test_folder_and_no_folder_train(folder, refused):
    halved = spec(folder, holdout=0.5)
    for path in (folder / "test").rglob("*.PNG"):
        path.rename(folder / "train" / path.parent.name / f"more {path.name}")
    for path in sorted((folder / "test").rglob("*"), reverse=True):
        path.rmdir()
    (folder / "test").rmdir()
    assert "needs" in refused(dataset_size, spec(folder))
    expected = load_dataset(halved)
    assert (len(expected.train), len(expected.test), expected.classes) == (4, 4, 2)
    for path in (folder / "train").iterdir():
        path.rename(folder / path.name)
    (folder / "train").rmdir()
    assert tuple(dataset_size(halved))[:3] == (2, 4, 4)
    flat = load_dataset(halved)
    assert np.array_equal(flat.train.images.numpy(), expected.train.images.numpy())
