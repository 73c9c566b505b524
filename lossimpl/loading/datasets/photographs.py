"""Photographs: read a PNG or JPEG file, decode it, take a random crop, resize, flip, and scale to floats.

The files are scikit-image's photographs of mixed size. The augmentation draws from a generator per sample, so it is
the same under every setting of the loader.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from lossimpl.loading.data.sample_rng import SampleRNG
from lossimpl.loading.datasets import package_file
from lossimpl.loading.workload import Workload

FILES = (
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "clock_motion.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "ihc.png",
    "moon.png",
    "rocket.jpg",
)
SIZE = 64
SHORTEST = 0.5  # the smallest crop, as a share of the photograph's shorter side


class RandomCrop:
    """A square crop of random place and size, resized to `SIZE`, mirrored half of the time."""

    def __call__(self, image: Image.Image, rng: np.random.Generator) -> torch.Tensor:
        side = int(min(image.size) * rng.uniform(SHORTEST, 1.0))
        left = int(rng.integers(image.width - side + 1))
        top = int(rng.integers(image.height - side + 1))
        crop = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, (left, top, left + side, top + side))
        pixels = np.asarray(crop, dtype=np.float32) / 255
        if rng.random() < 0.5:
            pixels = pixels[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class Photographs(Dataset[tuple[torch.Tensor, int]]):
    """`length` crops from the photographs in turn: (float32 [3, SIZE, SIZE] in 0..1, number of the photograph)."""

    def __init__(self, paths: Sequence[Path], length: int = 240, seed: int = 0) -> None:
        self.paths = [str(path) for path in paths]
        self.length = length
        self.rng = SampleRNG(seed)
        self.transform = RandomCrop()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if not 0 <= index < self.length:
            raise IndexError(index)
        label = index % len(self.paths)
        with Image.open(io.BytesIO(Path(self.paths[label]).read_bytes())) as image:
            return self.transform(image.convert("RGB"), self.rng(index)), label


def build() -> Workload:
    """The photographs of the installed scikit-image."""
    dataset = Photographs([package_file("skimage", "data", name) for name in FILES])
    return Workload(dataset, set_epoch=dataset.rng.set_epoch, files=dataset.paths)
