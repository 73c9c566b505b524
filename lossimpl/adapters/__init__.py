"""Peers' implementations behind our signatures: imported only when asked for, and unavailable with a reason otherwise.

Each module of a library offers `available(device)`, the reason why it cannot run there or None, and one function with
the loss's signature; what it does not serve raises `Unavailable`, and nothing is computed by anybody else in its place.
`torch_compiled` is torch.compile of what people write themselves.
"""

from __future__ import annotations

from lossimpl.adapters import liger, metric_learning, quack, torch_compiled, torchvision
from lossimpl.losses import ROOMS
from lossimpl.spec import TORCH_COMPILED


def register_peers() -> None:
    """Register every peer: the entry point `peers` of the group `lossimpl.implementations`."""
    from lossimpl.plugins import register  # which looks for this very function when it is first imported

    for room in ROOMS:
        if plain := torch_compiled.written(room):
            register(room.LOSS.name, TORCH_COMPILED, torch_compiled.of(plain))
    register("cross_entropy", "liger", liger.cross_entropy, devices=("cuda",), available=liger.available)
    register("cross_entropy", "quack", quack.cross_entropy, devices=("cuda",), available=quack.available)
    register("sigmoid_focal_loss", "torchvision", torchvision.sigmoid_focal_loss, available=torchvision.available)
    register(
        "triplet_margin_loss",
        "pytorch-metric-learning",
        metric_learning.triplet_margin_loss,
        available=metric_learning.available,
    )
