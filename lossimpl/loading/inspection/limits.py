"""What a configuration needs against what the machine has: predicted before the run, from the size of a batch."""

from __future__ import annotations

import resource

import psutil

from lossimpl import wording
from lossimpl.loading.harness.job import shared_memory_free
from lossimpl.loading.inspection.result import Cost, Finding, Machine
from lossimpl.loading.settings import Settings
from lossimpl.measure.threads import usable_cores

OTHER_FILES = 64  # that a training script has open besides
LESS_SHARED_MEMORY = "fewer workers or a smaller prefetch_factor; in a container, --shm-size or --ipc=host"
FEWER_FILES = "raise `ulimit -n`, or torch.multiprocessing.set_sharing_strategy('file_system')"
FEWER_THREADS = "set OMP_NUM_THREADS=1 (and OPENBLAS_NUM_THREADS, MKL_NUM_THREADS) for the workers"


def machine() -> Machine:
    """The limits of this machine and this process."""
    from threadpoolctl import threadpool_info

    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return Machine(shared_memory_free(), files, usable_cores(), threads, psutil.virtual_memory().available)


def of_settings(settings: Settings, cost: Cost | None, limits: Machine | None) -> list[Finding]:
    """What settings need beyond the limits of the machine; nothing where either is unknown.

    Shared memory: every batch that may wait, and one more that each worker is writing. Open files: one descriptor for
    each tensor of those, with torch's default sharing strategy, and four pipes for each worker.
    """
    if cost is None or limits is None:
        return []
    workers, waiting = settings.num_workers, settings.prefetched + settings.num_workers
    found = []
    if waiting * cost.bytes > limits.shared_bytes:
        what = (
            f"{waiting} batches of {wording.size(cost.bytes)} need {wording.size(waiting * cost.bytes)} "
            f"in /dev/shm, which has {wording.size(limits.shared_bytes)} free"
        )
        found.append(Finding("shared memory", what, LESS_SHARED_MEMORY))
    if waiting * cost.tensors + 4 * workers + OTHER_FILES > limits.open_files:
        what = f"{waiting} batches of {cost.tensors} tensors need more than the limit of {limits.open_files}"
        found.append(Finding("open files", what, FEWER_FILES))
    if workers * limits.blas_threads > 2 * limits.cores:
        what = f"{workers} workers x {limits.blas_threads} BLAS threads on {limits.cores} cores"
        found.append(Finding("threads", what, FEWER_THREADS))
    return found
