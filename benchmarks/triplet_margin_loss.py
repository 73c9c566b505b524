"""Embeddings: wide ones (128x1000), many narrow ones (65536x128, 1048576x128), and 32x10 where overhead rules."""

from .common import PARAM_NAMES, track


class TripletMarginLoss:
    """Seconds per call of each implementation of triplet_margin_loss."""

    params = (
        ("naive", "vectorized", "compiled", "torch", "native", "pytorch-metric-learning", "torch-compiled"),
        ("32x10", "128x1000", "65536x128", "256x1000", "1048576x128"),
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
        return track("triplet_margin_loss", *params)
