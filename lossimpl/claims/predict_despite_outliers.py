"""What to fit with when outliers are only noise: MAE, MSE, or MSE after the outliers are removed."""

from torch import Tensor

from lossimpl.claims.support.fitting import fitted, predictions
from lossimpl.claims.support.losses import mae, mse
from lossimpl.claims.support.model import Claim, Criterion, Curves, Measured, Point, Source
from lossimpl.claims.support.outliers import TRAINING, planted, test_error, trained

REPETITIONS = 30
SHARES = (0.0, 0.05, 0.1, 0.2)


def experiment(seed: int) -> Measured:
    """Errors on clean targets of models that were trained with outliers, over the error without any outlier."""
    found = {share: errors(share, seed) for share in SHARES}
    ratio = {share: {name: one[name] / one["MSE"] for name in one} for share, one in found.items()}
    base, both = found[0.0]["MSE"], errors(0.1, seed, symmetric=True)
    samples = {
        "mae": ratio[0.1]["MAE"].tolist(),
        "cleaned": ratio[0.1]["MSE, cleaned first"].tolist(),
        "clean": ratio[0.0]["MAE"].tolist(),
        "symmetric": (both["MAE"] / both["MSE"]).tolist(),
    }
    points = [Point(name, share, float((one[name] / base).mean())) for share, one in found.items() for name in one]
    return Measured(
        samples, Curves("share of outliers among the training targets", "squared error on clean targets", points)
    )


def errors(share: float, seed: int, symmetric: bool = False) -> dict[str, Tensor]:
    """The squared error on clean targets, (repetitions,), of each way to fit."""
    found = planted(share, REPETITIONS, seed, symmetric=symmetric)
    models = {"MSE": trained(mse, found), "MAE": trained(mae, found)}
    models["MSE, cleaned first"] = cleaned(models["MSE"], found.x[:, :TRAINING], found.y[:, :TRAINING])
    return {name: test_error(one, found) for name, one in models.items()}


def cleaned(weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """A fit without the targets that lie more than three robust standard deviations from the first fit."""
    residual = y - predictions(weights, x)
    deviation = (residual - residual.median(1, keepdim=True).values).abs()
    kept = (deviation < 3 * 1.4826 * deviation.median(1, keepdim=True).values).double()
    return fitted(mse, x * kept[:, :, None], y * kept)


CLAIM = Claim(
    statement=(
        "If outliers are only corrupted data, fit with MAE, or remove them first: the predictions for ordinary samples "
        "are better than those of MSE."
    ),
    source=Source(
        "Grover, 5 Regression Loss Functions All Machine Learners Should Know",
        2018,
        "https://heartbeat.comet.ml/5-regression-loss-functions-all-machine-learners-should-know-4fb140e9d4b0",
    ),
    criteria={
        "mae": Criterion("MAE's squared error over MSE's, 10 % outliers on one side", at_most=0.95),
        "cleaned": Criterion("that of MSE after cleaning over MSE's, 10 % outliers on one side", at_most=0.95),
        "symmetric": Criterion(
            "MAE's squared error over MSE's, 10 % outliers on both sides",
            at_most=1.0,
            only_when="the outliers lie on one side",
        ),
        "clean": Criterion(
            "MAE's squared error over MSE's without outliers",
            at_most=1.0,
            only_when="there are outliers",
        ),
    },
    experiment=experiment,
)
