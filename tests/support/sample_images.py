"""Draw Figure 3.1, images as networks see them: python tests/support/sample_images.py."""

from pathlib import Path

import numpy as np
from PIL import Image

from hpstudy.config.study import Data
from hpstudy.training.datasets import load_dataset

PATH = Path(__file__).resolve().parents[2] / "book" / "_static" / "sample-images.png"
SIZES = (32, 16, 8)
# Pixels of the figure that an image takes, and between images.
SIDE, SPACE = 64, 4


def drawn() -> Image.Image:
    """First training image of each class (a column) at each size in pixels (a row)."""
    rows = []
    for size in SIZES:
        split = load_dataset(Data(name="fashion-mnist-8k", image_size=size)).train
        labels, images = split.labels.numpy(), np.asarray(split.images)
        first = images[np.unique(labels, return_index=True)[1]].transpose(0, 2, 3, 1)
        large = first.repeat(SIDE // size, axis=1).repeat(SIDE // size, axis=2)
        space = ((0, 0), (0, SPACE), (0, SPACE), (0, 0))
        rows.append(np.concatenate(list(np.pad(large, space, constant_values=127)), axis=1))
    return Image.fromarray(np.concatenate(rows)).convert("L")


if __name__ == "__main__":
    drawn().save(PATH, optimize=True)
