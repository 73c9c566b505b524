"""Triplet loss as training goes on: the order of distances, easy triplets, the margin, and collapse."""

import torch
from torch import Tensor

from lossimpl import functional
from lossimpl.claims.support import data
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source

REPETITIONS, STEPS, BATCH, SIZE = 4, 150, 128, 8
MARGINS = (0.2, 1.0, 5.0)


def experiment(seed: int) -> Measured:
    """Linear embeddings of digits in 8 dimensions by random triplets, tested on other digits."""
    generator = torch.Generator().manual_seed(seed)
    runs = {margin: [train(margin, generator) for _ in range(REPETITIONS)] for margin in MARGINS}
    collapsed = torch.ones(5, SIZE)
    far = torch.ones(1, SIZE, requires_grad=True)
    (easy,) = torch.autograd.grad(triplet(far, far.detach(), far.detach() + 9, 1.0).sum(), far)
    samples = {
        "order": [one[-1][0] for one in runs[1.0]],
        "before": [one[-1][0] - one[0][0] for one in runs[1.0]],
        "easy": [float(easy.abs().sum())],
        "margin": [b[-1][1] / a[-1][1] for a, b in zip(runs[0.2], runs[5.0], strict=True)],
        "collapse": [float(triplet(collapsed, collapsed, collapsed, 1.0).mean())],
    }
    points = [
        Point(f"margin {margin:g}", 10 * i, float(torch.tensor([run[i][0] for run in found]).mean()))
        for margin, found in runs.items()
        for i in range(len(found[0]))
    ]
    return Measured(samples, Curves("step", "share of test triplets in order by the margin", points))


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """The loss of each triplet."""
    return functional.triplet_margin_loss(
        anchor, positive, negative, margin=margin, reduction="none", implementation="vectorized"
    )


def triplets(first: int, last: int, count: int, generator: torch.Generator) -> list[Tensor]:
    """Anchors, others of their class, and samples of other classes, among the digits from `first` to `last`."""
    x, y = data.digits().x[first:last], data.digits().y[first:last]
    anchor = torch.randint(len(y), (count,), generator=generator)
    order = torch.rand(count, len(y), generator=generator)
    same = y[anchor][:, None] == y
    chosen = (anchor, (order * same).argmax(1), (order * ~same).argmax(1))
    return [x[one] for one in chosen]


def train(margin: float, generator: torch.Generator) -> list[tuple[float, float]]:
    """The share of test triplets in order by the margin, and the mean gap of distances, every ten steps."""
    weights = (0.1 * torch.randn(64, SIZE, generator=generator)).requires_grad_()
    optimizer = torch.optim.Adam([weights], lr=0.02)
    test = triplets(1200, 1797, 500, generator)
    found = []
    for step in range(STEPS + 1):
        if step % 10 == 0:
            a, p, n = (one @ weights.detach() for one in test)
            gap = (a - n).norm(dim=1) - (a - p).norm(dim=1)
            found.append((float((gap >= margin).double().mean()), float(gap.mean())))
        anchor, positive, negative = (one @ weights for one in triplets(0, 1200, BATCH, generator))
        loss = triplet(anchor, positive, negative, margin).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
    return found


CLAIM = Claim(
    statement=(
        "Training with the triplet loss brings samples of one class closer to each other than to other classes by the "
        "margin; easy triplets give no gradient, a larger margin spreads the classes, and if all embeddings collapse "
        "into one point the loss is the margin."
    ),
    source=Source(
        "Schroff, Kalenichenko and Philbin, FaceNet: A unified embedding for face recognition and clustering",
        2015,
        "https://arxiv.org/abs/1503.03832",
    ),
    criteria={
        "before": Criterion("share of test triplets in order by the margin, after minus before training", at_least=0.3),
        "easy": Criterion("gradient of a triplet that is in order by more than the margin", 0, 0),
        "margin": Criterion("gap of the distances with margin 5 over that with margin 0.2", at_least=2.0),
        "collapse": Criterion("loss of a collapsed embedding with margin 1", at_least=0.999, at_most=1.001),
        "order": Criterion(
            "share of test triplets in order by the margin after training",
            at_least=0.99,
            only_when="some unseen triplets may stay out of order",
        ),
    },
    experiment=experiment,
)
