"""Whether a fit with MSE finds outliers better than one with MAE."""

import torch
from torch import Tensor

from lossimpl.claims.support.fitting import predictions
from lossimpl.claims.support.losses import Loss, mae, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.outliers import TRAINING, planted, trained

REPETITIONS = 20
SHARES = (0.02, 0.1, 0.2)
LOSSES: dict[str, Loss] = {"MSE": mse, "MAE": mae}


def experiment(seed: int) -> Measured:
    """How well the size of the residual tells planted outliers from real targets, after a fit with each loss."""
    found = {share: scores(share, seed) for share in SHARES}
    gain = {share: (one["MSE"] - one["MAE"]).tolist() for share, one in found.items()}
    points = [Point(name, share, float(one[name].mean())) for name in LOSSES for share, one in found.items()]
    curves = Curves("share of planted outliers", "area under the ROC curve", points)
    return Measured({"few": gain[SHARES[0]], "many": gain[0.2], "found": found[SHARES[0]]["MSE"].tolist()}, curves)


def scores(share: float, seed: int) -> dict[str, Tensor]:
    """The area under the ROC curve of each loss, (repetitions,), with this share of outliers."""
    found = planted(share, REPETITIONS, seed, leverage=True)
    x, y, outlier = (one[:, :TRAINING] for one in found)
    return {name: ranked((predictions(trained(loss, found), x) - y).abs(), outlier) for name, loss in LOSSES.items()}


def ranked(residual: Tensor, outlier: Tensor) -> Tensor:
    """The probability that an outlier's residual is the larger one of two, per repetition."""
    rows = zip(residual, outlier, strict=True)
    return torch.stack([(one[out][:, None] > one[~out]).double().mean() for one, out in rows])


CLAIM = Claim(
    statement=(
        "Fit with MSE if outliers are what you look for: it weighs them more than MAE does, so that they are found "
        "better."
    ),
    source=Source(
        "Grover, 5 Regression Loss Functions All Machine Learners Should Know",
        2018,
        "https://heartbeat.comet.ml/5-regression-loss-functions-all-machine-learners-should-know-4fb140e9d4b0",
    ),
    criteria={
        "found": Criterion("area under the ROC curve of MSE's residuals, 2 % outliers", at_least=0.9),
        "few": Criterion("area of MSE minus that of MAE, 2 % outliers", at_least=0.0),
        "many": Criterion("area of MSE minus that of MAE, 20 % outliers", at_least=0.0),
    },
    experiment=experiment,
)
