"""A small convolutional network for 8 x 8 images of handwritten digits."""

import torch
from torch import nn


class Digits(nn.Module):
    """Images (N, 1, 8, 8) with values 0 to 1; returns one score per digit, (N, 10)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(2 * width * 4, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(image))


def digits_classifier(width: int = 16) -> nn.Module:
    """The network with fresh weights; `width` is the number of channels of its first layer."""
    return Digits(width)
