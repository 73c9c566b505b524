"""Classifiers (128x1000), vocabularies (256x32000 and more), and 32x10 where the overhead of the call rules."""

from .common import PARAM_NAMES, track


class CrossEntropy:
    """Seconds per call of each implementation of cross_entropy."""

    params = (
        ("naive", "vectorized", "compiled", "torch", "native", "liger", "quack", "torch-compiled"),
        (
            "32x10",
            "128x1000",
            "512x32000",
            "2048x50257",
            "256x1000",
            "8192x32000",
            "8192x50257",
            "4096x128256",
            "4096x262144",
            "256x32000",
        ),
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
        return track("cross_entropy", *params)
