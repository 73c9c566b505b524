"""Noise as on real machines, of unit size, for simulations of the gate's and the nightly's error rates."""

import numpy as np


def normal(count, rng):
    return rng.standard_normal(count)


def heavy_tailed(count, rng):
    """Student's t with three degrees of freedom, and one point in sixty far out on the slow side."""
    far = np.where(rng.random(count) < 1 / 60, 3 * np.abs(rng.standard_cauchy(count)), 0.0)
    return 0.8 * rng.standard_t(3, count) + far


def autocorrelated(count, rng):
    """First-order autoregression with correlation 0.4 between neighbours."""
    shocks = rng.standard_normal(count)
    values = np.empty(count)
    values[0] = shocks[0]
    for index in range(1, count):
        values[index] = 0.4 * values[index - 1] + np.sqrt(1 - 0.4**2) * shocks[index]
    return values


def bimodal(count, rng):
    """Three in ten points two units slower: an unlucky memory layout."""
    return 0.5 * rng.standard_normal(count) + np.where(rng.random(count) < 0.3, 2.0, 0.0)


KINDS = {
    "normal": normal,
    "heavy-tailed": heavy_tailed,
    "autocorrelated": autocorrelated,
    "bimodal": bimodal,
}


def bursts(count, rng):
    """A process that is busy at times: one point in five begins or ends a period that is four units slower."""
    busy = np.cumsum(rng.random(count) < 0.2) % 2
    return rng.standard_normal(count) + 4.0 * busy


def drifting(count, rng):
    """A processor that warms up: a random walk, and an increase by a tenth of a unit per point."""
    return rng.standard_normal(count) + np.cumsum(0.1 + 0.3 * rng.standard_normal(count))


IN_TIME = {"bursts": bursts, "drifting": drifting}  # the difference of two neighbouring points depends on time


def interrupted(count, rng):
    """A shared machine: one point in seven is ten to twenty-five units slower."""
    return rng.standard_normal(count) + np.where(rng.random(count) < 1 / 7, rng.uniform(10, 25, count), 0.0)


NOISY_NIGHTS, STRETCH_FACTOR = 10, 5


def stretch_start(count, rng):
    """Where the noisy nights of a series begin, away from its ends."""
    return int(rng.integers(12, count - 15))


def noisy_stretch(count, rng):
    """Ten nights are five times as noisy as the others."""
    values = rng.standard_normal(count)
    start = stretch_start(count, rng)
    values[start : start + NOISY_NIGHTS] *= STRETCH_FACTOR
    return values
