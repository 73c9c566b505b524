"""Implementations of other libraries behind our signatures, imported only when asked for.

Each module of a library offers `available(device)`, the reason why it cannot run there or None, and one function with
the loss's signature; what it does not serve raises `Unavailable`, and nothing is computed in its place.
`torch_compiled` is torch.compile of what people write themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossimpl.adapters import liger, metric_learning, quack, torch_compiled, torchvision
from lossimpl.spec import DEVICES, TORCH_COMPILED, Function, always_available


@dataclass(frozen=True)
class Peer:
    """One implementation to register: the arguments of `lossimpl.register`."""

    loss: str
    name: str
    function: Function
    devices: tuple[str, ...] = DEVICES
    available: Callable[[str], str | None] = always_available


PEERS: tuple[Peer, ...] = (
    *(Peer(loss, TORCH_COMPILED, torch_compiled.of(plain)) for loss, plain in torch_compiled.PLAIN.items()),
    Peer("cross_entropy", "liger", liger.cross_entropy, ("cuda",), liger.available),
    Peer("cross_entropy", "quack", quack.cross_entropy, ("cuda",), quack.available),
    Peer("sigmoid_focal_loss", "torchvision", torchvision.sigmoid_focal_loss, available=torchvision.available),
    Peer(
        "triplet_margin_loss",
        "pytorch-metric-learning",
        metric_learning.triplet_margin_loss,
        available=metric_learning.available,
    ),
)
