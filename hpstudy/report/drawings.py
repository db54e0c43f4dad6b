"""Drawings of the background page, and sample images as networks see them, as HTML for `show`."""

import base64
import io
from collections.abc import Iterable

import numpy as np

from hpstudy.config.study import Data
from hpstudy.workspace import find_root

# Pixels of the page that an image takes, and between images.
SIDE, SPACE = 64, 4


def drawing(name: str) -> str:
    """Drawing `book/_static/drawings/<name>.svg`, inline: it takes the ink of the page's theme."""
    path = find_root() / "book" / "_static" / "drawings" / f"{name}.svg"
    return f'<div class="hpstudy-drawing">{path.read_text(encoding="utf-8")}</div>'


def sample_images(sizes: Iterable[int]) -> str:
    """One embedded image of each class (a column), at several sizes in pixels (a row each).

    References
    ----------
    Thesis, Figure 3.1.
    """
    # The reader of images needs torch, which takes seconds to import, and Pillow.
    from PIL import Image

    from hpstudy.training.datasets import load_dataset

    rows = []
    for size in sizes:
        split = load_dataset(Data(name="fashion-mnist-8k", image_size=size)).train
        labels, images = split.labels.numpy(), np.asarray(split.images)
        first = images[np.unique(labels, return_index=True)[1]].transpose(0, 2, 3, 1)
        large = first.repeat(SIDE // size, axis=1).repeat(SIDE // size, axis=2)
        space = ((0, 0), (0, SPACE), (0, SPACE), (0, 0))
        rows.append(np.concatenate(list(np.pad(large, space, constant_values=127)), axis=1))
    file = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).convert("L").save(file, "PNG", optimize=True)
    text = base64.b64encode(file.getvalue()).decode()
    look = "max-width:100%;image-rendering:pixelated"
    names = "sample images, a column a class, a row a size"
    image = f'<img alt="{names}" style="{look}" src="data:image/png;base64,{text}">'
    return f'<div class="hpstudy-drawing">{image}</div>'
