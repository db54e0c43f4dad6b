"""What a linear model reaches on a study's images: the floor that its networks must be well above.

    python benchmarks/linear.py PARAMS.yaml [--data-root FOLDER]

Logistic regression (scikit-learn's) on the pixels as the networks see them, centred and scaled, for
several strengths of its penalty; the best test accuracy of these flatters it.
"""

import argparse
from pathlib import Path

import numpy as np
from common import machine, markdown
from sklearn.linear_model import LogisticRegression

from hpstudy.config.study import Study
from hpstudy.training.augmentation import Batches
from hpstudy.training.datasets import Dataset, Split, load_dataset

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def pixels(data: Dataset, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Centre views (images, features) with the training images' statistics, and labels."""
    batches = Batches(split, data.image_size)
    ((images, labels),) = batches.take(batches.centred(), len(split))
    mean, std = (255 * x[:, None, None] for x in (data.mean, data.std))
    return ((images - mean) / std).flatten(1).numpy(), labels.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("params", type=Path)
    parser.add_argument("--data-root")
    given = parser.parse_args()
    study = Study.load(given.params)
    data = load_dataset(study.data, given.data_root)
    train, test = pixels(data, data.train), pixels(data, data.test)
    rows = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=500).fit(*train)
        rows.append(
            {
                "study": study.name,
                "C": f"{strength:g}",
                "trained on": len(data.train),
                "tested on": len(data.test),
                "top-1, %": f"{100 * model.score(*test):.2f}",
            }
        )
    print(machine(), "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
