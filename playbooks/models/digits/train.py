"""Trains the digits classifier on the 1,797 images of scikit-learn, and keeps 360 apart for the verdicts."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from model import digits_classifier
from sklearn.datasets import load_digits
from torch.nn import functional

HELD_OUT = 360
"""Images that the network never sees in training: engines are judged on them."""
EPOCHS = 12
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for digits.pt, digits_test.npz")
    parser.add_argument("--width", type=int, default=16, help="channels of the first layer (as in digits.yml)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    # The same weights on every run, so that a second `make demo` finds its engines still valid.
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)

    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    labels = labels.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(images))
    held_out, seen = order[:HELD_OUT], order[HELD_OUT:]

    network = digits_classifier(arguments.width)
    fit(network, torch.from_numpy(images[seen]), torch.from_numpy(labels[seen]))
    network.eval()
    with torch.no_grad():
        chosen = network(torch.from_numpy(images[held_out])).argmax(1).numpy()
    accuracy = float((chosen == labels[held_out]).mean())

    torch.save(network.state_dict(), arguments.out / "digits.pt")
    np.savez(arguments.out / "digits_test.npz", image=images[held_out], label=labels[held_out])
    print(f"digits: {accuracy:.1%} of {HELD_OUT} held-out images recognised; weights in {arguments.out / 'digits.pt'}")


def fit(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Adam with one cycle of the learning rate."""
    steps = EPOCHS * -(-len(images) // BATCH)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            loss = functional.cross_entropy(network(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


if __name__ == "__main__":
    main()
