"""What focal loss's alpha does for a rare class."""

import torch
from torch import Tensor

from lossimpl.claims.support import data
from lossimpl.claims.support.losses import focal
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.training import Objective, Split, epochs, split

REPETITIONS, EPOCHS, RATE = 5, 8, 1.0
ALPHAS = (0.1, 0.25, 0.5, 0.75, 0.9)


def experiment(seed: int) -> Measured:
    """A linear detector of the digit 8, a tenth of the samples: recall and precision over alpha."""
    digits = data.digits()
    found = split(data.Table(digits.x, (digits.y == 8).long()), 1200, REPETITIONS, seed)
    rates = {alpha: quality(found, objective(alpha)) for alpha in ALPHAS}
    samples = {
        "recall": (rates[0.75][0] - rates[0.25][0]).tolist(),
        "precision": (rates[0.75][1] - rates[0.25][1]).tolist(),
    }
    points = [
        Point(name, alpha, float(one[i].mean()))
        for i, name in enumerate(("recall", "precision"))
        for alpha, one in rates.items()
    ]
    return Measured(samples, Curves("α, the weight of the rare class", "share", points))


def objective(alpha: float) -> Objective:
    """The focal loss with gamma = 2 of a column of logits."""
    return lambda logits, labels: focal(2.0, alpha)(logits.flatten(), labels.to(logits.dtype))


def quality(found: Split, loss: Objective) -> tuple[Tensor, Tensor]:
    """Recall and precision on the test samples, (repetitions,) each."""
    *_, weights = epochs(found, loss, 1, RATE, 64, EPOCHS)
    positive, true = torch.bmm(found.test_x, weights)[..., 0] > 0, found.test_y == 1
    hits = (positive & true).sum(1).double()
    return hits / true.sum(1), hits / positive.sum(1).clamp_min(1)


CLAIM = Claim(
    statement="Focal loss's alpha balances the classes: a larger weight of the rare class finds more of its samples.",
    source=Source("Lin et al., Focal loss for dense object detection", 2017, "https://arxiv.org/abs/1708.02002"),
    criteria={
        "recall": Criterion("recall of the rare class with alpha = 0.75 minus that with 0.25", at_least=0.02),
        "precision": Criterion(
            "precision with alpha = 0.75 minus that with 0.25",
            at_least=-0.01,
            only_when="recall counts for more than precision, which falls",
        ),
    },
    experiment=experiment,
)
