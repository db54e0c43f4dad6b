"""Train one network with one setting; hpstudy starts it once for every run."""

import argparse
import json
import math

import torch
from torch.nn.functional import cross_entropy

import hpstudy
from hpstudy.config.study import Data
from hpstudy.training.datasets import load_dataset

parser = argparse.ArgumentParser()
for name in ("report", "data", "out"):
    parser.add_argument(f"--{name}")
for name, kind in {"lr": float, "wd": float, "epochs": int, "seed": int}.items():
    parser.add_argument(f"--{name}", type=kind)
args = parser.parse_args()

# Put your own data here: images (n, 3, height, width) and labels (n,).
device = "cuda" if torch.cuda.is_available() else "cpu"
data = load_dataset(Data(name=args.data, image_size=16, holdout=0.3)).to(device)
images, test_images = (part.images / 127.5 - 1 for part in (data.train, data.test))
labels, test_labels = data.train.labels, data.test.labels

# The pruned network, with new weights that suit its widths.
torch.manual_seed(args.seed)
network = hpstudy.rebuild(args.report, factory="nets:make")
for module in network.modules():
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
network.to(device, memory_format=torch.channels_last)  # three times faster on a CPU

optimizer = torch.optim.SGD(network.parameters(), args.lr, momentum=0.9, weight_decay=args.wd)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
for epoch in range(args.epochs):
    network.train()
    for batch in torch.randperm(len(labels), device=device).split(64):
        loss = cross_entropy(network(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    schedule.step()
    network.eval()
    with torch.no_grad():
        right = network(test_images).argmax(1) == test_labels
    # A run whose accuracy is NaN counts as one that diverged.
    accuracy = 100 * right.sum().item() / len(right) if loss.isfinite() else math.nan
    print(json.dumps({"epoch": epoch, "loss": loss.item(), "val_acc": accuracy}))

# The dense network's weights at the prior rank the filters.
torch.save(network.state_dict(), f"{args.out}/weights.pt")
