"""Train one network with one setting with Lightning; see lightning.yaml."""

import argparse
import math

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import hpstudy
from hpstudy.config.study import Data
from hpstudy.training.datasets import load_dataset

parser = argparse.ArgumentParser()
for name in ("report", "out"):
    parser.add_argument(f"--{name}")
for name, kind in {"lr": float, "wd": float, "images": int, "epochs": int, "seed": int}.items():
    parser.add_argument(f"--{name}", type=kind)
args = parser.parse_args()


class Classifier(lightning.LightningModule):
    """A network trained with AdamW."""

    def __init__(self):
        super().__init__()
        self.network = hpstudy.rebuild(args.report, factory="hpstudy.example.nets:make")
        for module in self.network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        self.diverged = False

    def training_step(self, batch, _):
        """Loss of a batch."""
        loss = cross_entropy(self.network(batch[0]), batch[1])
        self.diverged |= not loss.isfinite()
        return loss

    def validation_step(self, batch, _):
        """Log the accuracy once per epoch; NaN means that the run diverged."""
        right = (self.network(batch[0]).argmax(1) == batch[1]).float()
        self.log("val_acc", math.nan if self.diverged else 100 * right.mean())

    def configure_optimizers(self):
        """AdamW with the setting of this run."""
        return torch.optim.AdamW(self.parameters(), args.lr, weight_decay=args.wd)


lightning.seed_everything(args.seed)
size = {"train_images": args.images, "test_images": args.images // 2}
data = load_dataset(Data(name="fashion-mnist-8k", image_size=16, **size))
train, test = (TensorDataset(x.images / 127.5 - 1, x.labels) for x in (data.train, data.test))
trainer = lightning.Trainer(
    max_epochs=args.epochs,
    logger=CSVLogger(args.out, name="", version=""),
    enable_checkpointing=False,
    enable_progress_bar=False,
)
classifier = Classifier()
loaders = DataLoader(train, 64, shuffle=True), DataLoader(test, 500)
trainer.fit(classifier, *loaders)
torch.save(classifier.network.state_dict(), f"{args.out}/weights.pt")
