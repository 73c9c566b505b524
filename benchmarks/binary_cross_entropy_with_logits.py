"""Detection and dense prediction (8192x1024 to 131072x1024), multi-label classifiers (128x1000), and 32x10."""

from .common import PARAM_NAMES, track


class BinaryCrossEntropyWithLogits:
    """Seconds per call of each implementation of binary_cross_entropy_with_logits."""

    params = (
        ("naive", "vectorized", "compiled", "torch", "native", "torch-compiled"),
        ("32x10", "128x1000", "16384x1024", "256x1000", "131072x1024", "8192x1024"),
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
        return track("binary_cross_entropy_with_logits", *params)
