"""Peers' implementations behind our signatures: imported only when asked for, and unavailable with a reason otherwise.

Each module offers `available(device)`, the reason why it cannot run there or None, and one function with the loss's
signature. What a peer does not serve raises `Unavailable`; nothing is computed by anybody else in its place.
"""

from __future__ import annotations

from lossimpl.adapters import liger, metric_learning, quack, torchvision
from lossimpl.plugins import register


def register_peers() -> None:
    """Register every peer: the entry point `peers` of the group `lossimpl.implementations`."""
    register("cross_entropy", "liger", liger.cross_entropy, devices=("cuda",), available=liger.available)
    register("cross_entropy", "quack", quack.cross_entropy, devices=("cuda",), available=quack.available)
    register("sigmoid_focal_loss", "torchvision", torchvision.sigmoid_focal_loss, available=torchvision.available)
    register(
        "triplet_margin_loss",
        "pytorch-metric-learning",
        metric_learning.triplet_margin_loss,
        available=metric_learning.available,
    )
