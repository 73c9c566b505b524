"""The noise of real machines: times of fresh processes on identical code, from the self-tests in results/."""

import json
from pathlib import Path

import numpy as np


def recorded_series():
    """The log times of every row with at least twenty processes, in chronological order."""
    for path in sorted(Path(__file__).parents[2].glob("results/*/gate-selftest.json")):
        for series in json.loads(path.read_text()).get("recorded", {}).values():
            if len(series) >= 20:
                yield np.log(np.array(series))
