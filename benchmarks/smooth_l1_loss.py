"""Dense prediction (8192x1024 to 131072x1024), a batch of outputs (128x1000), and 32x10 where overhead rules."""

from .common import PARAM_NAMES, track


class SmoothL1Loss:
    """Seconds per call of each implementation of smooth_l1_loss."""

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
        return track("smooth_l1_loss", *params)
