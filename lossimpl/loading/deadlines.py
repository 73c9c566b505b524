"""How long a job should take, and how long it may: from the measured costs of the dataset, never from a guess alone.

A job that takes many times what it should is taken for hanging; one that merely needs more than the budget has left is
cut and says so.
"""

from __future__ import annotations

from lossimpl.loading.inspection.result import Inspection
from lossimpl.loading.settings import Settings

SLACK = 4.0  # times what is expected: other processes may take most of the machine
DIGEST_SECONDS = 400e-6  # of a small sample: digests, the states of generators, the way between processes
DIGEST_BYTES = 100e6  # per second, on a busy machine
VERDICT_SAMPLES = 16  # the fewest that a verdict reads of each epoch
VERDICT_JOBS, VERDICT_EPOCHS = 4, 2
JOB_SECONDS = 0.15  # for forking, recording and ending
WAVES = 3  # of batches, one from each worker, that the shortest measurement waits for
FORK_SECONDS = 0.03  # to start a worker


def start(settings: Settings, imports: float, cores: int) -> float:
    """Seconds until the workers of an epoch have started; `imports`: what importing torch takes in one process."""
    if settings.num_workers == 0:
        return 0.0
    if settings.multiprocessing_context in ("spawn", "forkserver"):
        return 1.5 * imports * max(1.0, settings.num_workers / max(1, cores))
    return FORK_SECONDS * settings.num_workers


def batch(settings: Settings, seen: Inspection) -> float:
    """Seconds for one process to make one batch."""
    return (settings.batch_size or 1) * seen.sample_seconds + (seen.cost.collate if seen.cost else 0.0)


def timing(settings: Settings, seen: Inspection, budget: float, imports: float) -> float:
    """Seconds of a timing job with so much budget for driving."""
    cores = seen.machine.cores if seen.machine else 1
    starts = 1 if settings.persistent_workers else 2
    driving = max(budget, WAVES * batch(settings, seen))
    return JOB_SECONDS + seen.built_seconds + starts * start(settings, imports, cores) + driving


def fingerprint(settings: Settings, seen: Inspection, samples: int, imports: float) -> float:
    """Seconds of one of the runs behind a verdict, each of which reads so many samples of each epoch."""
    cores = seen.machine.cores if seen.machine else 1
    each = seen.sample_seconds / max(1, min(settings.num_workers, cores)) + digest(seen)
    starts = 1 if settings.persistent_workers else VERDICT_EPOCHS
    reading = VERDICT_EPOCHS * (samples + settings.prefetched * (settings.batch_size or 1)) * each
    return JOB_SECONDS + seen.built_seconds + starts * start(settings, imports, cores) + reading


def digest(seen: Inspection) -> float:
    """Seconds for the digests of one sample: when it was made, before it is collated, and in its batch, twice."""
    weight = seen.cost.bytes / max(1, seen.cost.batch) if seen.cost else 0.0
    return DIGEST_SECONDS + 4 * weight / DIGEST_BYTES


def verdict_samples(settings: Settings, seen: Inspection, seconds: float) -> int:
    """How many samples of an epoch a verdict reads: all its runs in about `seconds`.

    The same for all settings of one batch size, so that they share the runs of their reference.
    """
    fewest = max(VERDICT_SAMPLES, 2 * (settings.batch_size or 1))
    each = VERDICT_JOBS * VERDICT_EPOCHS * (seen.sample_seconds + digest(seen))
    return max(fewest, int(seconds / each))


def smallest_search(settings: Settings, seen: Inspection, shortest: float, imports: float) -> float:
    """Seconds of a search that can have an answer at all: no workers against two, once, with a verdict on the data."""
    from dataclasses import replace

    two = replace(settings, num_workers=2)
    alone = settings.without_workers()
    samples = verdict_samples(settings, seen, 0.0)
    runs = sum(2 * fingerprint(one, seen, samples, imports) for one in (alone, two))
    return seen.seconds + runs + sum(timing(one, seen, shortest, imports) for one in (alone, two))


def epoch_samples(settings: Settings, seen: Inspection, budget: float) -> int:
    """Epochs short enough for two of them in the budget, long enough for a steady state.

    Where a start costs seconds (workers that import everything again, each epoch), one epoch for all.
    """
    costly = settings.multiprocessing_context in ("spawn", "forkserver") and not settings.persistent_workers
    budget *= 4 if costly else 1
    per_second = max(1, settings.num_workers) / seen.sample_seconds
    batch = settings.batch_size or 1
    fewest = batch * (settings.prefetched + 1 + 2 * max(2, settings.num_workers))
    return max(fewest, batch * int(per_second * budget / 3 / batch))
