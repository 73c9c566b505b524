"""Classifiers (128x1000), vocabularies (256x32000 and more), and 32x10 where the overhead of the call rules."""

from .common import PARAM_NAMES, track


class SoftmaxFocalLoss:
    """Seconds per call of each implementation of softmax_focal_loss."""

    params = (
        ("naive", "vectorized", "compiled", "native", "torch-compiled"),
        ("32x10", "128x1000", "512x32000", "256x1000", "8192x32000", "256x32000"),
        ("float32", "bfloat16", "float64", "float16"),
        ("cpu", "cuda"),
        ("step", "forward", "reuse", "graph"),
    )
    param_names = PARAM_NAMES
    unit = "seconds"
    version = "1"
    timeout = 600

    def track_seconds(self, *params):
        """Samples of one row."""
        return track("softmax_focal_loss", *params)
