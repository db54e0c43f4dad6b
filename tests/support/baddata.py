"""Bad data sets of torchvision or of a function of one's own (`badinput.Case`)."""

import sys
from typing import Any
from unittest import mock

from badinput import Case, write

FUNCTIONS = """
import torch

labels = torch.arange(6) % 3
images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)


def of_path(path): return images, labels
def nothing(): return None
def shares(): return images, labels / 10
def unlabelled(): return images, labels - 1
def one_hot(): return images, torch.eye(3, dtype=torch.long)[labels]
def one_class(): return images, labels * 0
def normalised(): return images - 2.5, labels
def channels_last(): return images.permute(0, 2, 3, 1), labels
def short(): return images, labels[:5]
def training_alone(): return images, labels
def test_of_more(): return (images, labels), (images, labels + 1)
"""


def data(what: str, name: str, sentence: str, **spec: Any) -> Case:
    """Case of a data set by name."""
    spec = {"name": name, "image_size": 8, "holdout": 0.5} | spec

    def act() -> None:
        from hpstudy.config.study import Data
        from hpstudy.training.datasets import dataset_size

        # Python would keep a compiled copy in the folder, and the module for the next case.
        with mock.patch.object(sys, "dont_write_bytecode", True), mock.patch.dict(sys.modules):
            dataset_size(Data(**spec), "data")

    return Case("data set", what, lambda: write("own_images.py", FUNCTIONS), act, sentence)


PLACE = "of the training images of own_images:"
SIZES = "(3, height, width), (1, height, width) or (height, width)"
HOLD_OUT = (
    "has no test images of its own; hold out a share of the training images, as with "
    "data.holdout: 0.2."
)
SETS = (
    "CIFAR10, CIFAR100, CLEVRClassification, Caltech101, Caltech256, CelebA, Country211, DTD, "
    "EMNIST, EuroSAT, FER2013, FGVCAircraft, FakeData, FashionMNIST, Flowers102, Food101, GTSRB, "
    "INaturalist, Imagenette, KMNIST, LFWPeople, MNIST, Omniglot, OxfordIIITPet, PCAM, Places365, "
    "QMNIST, RenderedSST2, SEMEION, STL10, SUN397, SVHN, StanfordCars, USPS."
)

DATA_SETS = [
    data(
        "a set that torchvision has not",
        "torchvision:SVNH",
        f"unknown classification set of torchvision 'SVNH' (did you mean 'SVHN'?); valid: {SETS}",
    ),
    data(
        "a set of torchvision for detection",
        "torchvision:CocoDetection",
        f"unknown classification set of torchvision 'CocoDetection'; valid: {SETS}",
    ),
    data(
        "a set without the argument that it needs",
        "torchvision:EMNIST",
        "torchvision:EMNIST needs data.arguments with split.",
    ),
    data(
        "a wrong argument of a set",
        "torchvision:SVHN",
        "unknown argument of torchvision:SVHN 'part'; valid: split.",
        arguments={"part": "extra"},
    ),
    data(
        "a set without test images",
        "torchvision:EuroSAT",
        f"torchvision:EuroSAT {HOLD_OUT}",
        holdout="test",
    ),
    data(
        "arguments of a set that takes none",
        "cifar10",
        "data.arguments are for torchvision:NAME and package.module:factory; cifar10 takes none.",
        image_size=32,
        arguments={"split": "train"},
    ),
    data(
        "a module that is not there",
        "own_image:nothing",
        "own_image:nothing cannot be imported: there is no module 'own_image' in FOLDER or among "
        "the installed packages.",
    ),
    data(
        "a function that is not there",
        "own_images:nothin",
        "own_images has no function 'nothin' (did you mean 'nothing'?); it has of_path, nothing, "
        "shares, unlabelled, one_hot, one_class, normalised, channels_last, short, "
        "training_alone, test_of_more.",
    ),
    data(
        "a function without its argument",
        "own_images:of_path",
        "own_images:of_path cannot be called with the arguments {}: missing a required argument: "
        "'path'.",
    ),
    data(
        "a function that returns nothing",
        "own_images:nothing",
        "own_images:nothing must return (images, labels), a torch Dataset with a length, or two of "
        "them for training and test, not NoneType.",
    ),
    data(
        "labels that are no whole numbers",
        "own_images:shares",
        f"label 0 {PLACE}shares must be a whole number from 0, not 0.0.",
    ),
    data(
        "labels below 0",
        "own_images:unlabelled",
        f"label 0 {PLACE}unlabelled must be a whole number from 0, not -1.",
    ),
    data(
        "labels as vectors",
        "own_images:one_hot",
        f"label 0 {PLACE}one_hot must be a whole number from 0, not tensor([1, 0, 0]).",
    ),
    data(
        "images of one class",
        "own_images:one_class",
        "own_images:one_class holds one class; a classifier needs two or more.",
    ),
    data(
        "images that are normalised already",
        "own_images:normalised",
        f"image 0 {PLACE}normalised must hold values from 0 to 1, or uint8, not values from -2.5 "
        "to -2.5; hpstudy normalises images itself.",
    ),
    data(
        "images with the colours last",
        "own_images:channels_last",
        f"image 0 {PLACE}channels_last must have the shape {SIZES}, not (8, 8, 3).",
    ),
    data(
        "fewer labels than images",
        "own_images:short",
        "own_images:short must return as many labels as images, not 6 images and 5 labels.",
    ),
    data(
        "training images alone",
        "own_images:training_alone",
        f"own_images:training_alone {HOLD_OUT}",
        holdout="test",
    ),
    data(
        "a class among the test images only",
        "own_images:test_of_more",
        "the label 3 is among the test images of own_images:test_of_more and not among its "
        "training images.",
        holdout="test",
    ),
]
