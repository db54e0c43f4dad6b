"""Train one network with one setting with the Hugging Face Trainer; see hf.yaml."""

import argparse

import torch
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainingArguments

import hpstudy
from hpstudy.config.study import Data
from hpstudy.training.datasets import load_dataset

parser = argparse.ArgumentParser()
for name in ("report", "out"):
    parser.add_argument(f"--{name}")
for name, kind in {"lr": float, "wd": float, "images": int, "epochs": int, "seed": int}.items():
    parser.add_argument(f"--{name}", type=kind)
args = parser.parse_args()


class Classifier(torch.nn.Module):
    """A network with the Trainer's interface."""

    def __init__(self):
        super().__init__()
        self.network = hpstudy.rebuild(args.report, factory="hpstudy.example.nets:make")
        for module in self.network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(self, pixel_values, labels):
        """Loss and logits."""
        logits = self.network(pixel_values)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


def items(split):
    """Images of a split, as the Trainer takes them."""
    pairs = zip(split.images / 127.5 - 1, split.labels, strict=True)
    return [{"pixel_values": image, "labels": label} for image, label in pairs]


def accuracy(prediction):
    """Share of images that are classified correctly."""
    right = prediction.predictions.argmax(1) == prediction.label_ids
    return {"accuracy": right.mean()}


torch.manual_seed(args.seed)
size = {"train_images": args.images, "test_images": args.images // 2}
data = load_dataset(Data(name="fashion-mnist-8k", image_size=16, **size))
arguments = TrainingArguments(
    args.out,
    learning_rate=args.lr,
    weight_decay=args.wd,
    num_train_epochs=args.epochs,
    per_device_train_batch_size=64,
    eval_strategy="epoch",
    save_strategy="no",
    seed=args.seed,
    report_to="none",
    disable_tqdm=True,
)
classifier = Classifier()
train, test = items(data.train), items(data.test)
Trainer(classifier, arguments, None, train, test, compute_metrics=accuracy).train()
torch.save(classifier.network.state_dict(), f"{args.out}/weights.pt")
