"""What a configuration needs against what the machine has: predicted before the run, from the size of a batch."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from lossimpl.loading.settings import Settings
from lossimpl.measure.threads import usable_cores


@dataclass(frozen=True)
class Finding:
    """One thing to know before the run: which check found it, what it found, and what to do about it."""

    check: str
    what: str
    advice: str


@dataclass(frozen=True)
class Machine:
    """What a configuration is compared with: bytes free in /dev/shm, descriptors, cores, and the threads of BLAS."""

    shared_bytes: int
    open_files: int
    cores: int
    blas_threads: int


def machine() -> Machine:
    """The limits of this machine and this process."""
    from threadpoolctl import threadpool_info

    try:
        shared = os.statvfs("/dev/shm")
        free = shared.f_bavail * shared.f_frsize
    except OSError:
        free = 0
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return Machine(free, resource.getrlimit(resource.RLIMIT_NOFILE)[0], usable_cores(), threads)


def of_settings(settings: Settings, tensors: int, batch_bytes: int, limits: Machine) -> list[Finding]:
    """What a configuration needs against what the machine has.

    Shared memory: every batch that may wait, and one more that each worker is writing. Open files: one descriptor for
    each tensor of those, with torch's default sharing strategy, and four pipes for each worker.
    """
    waiting = settings.prefetched + settings.num_workers
    found = []
    if waiting * batch_bytes > limits.shared_bytes:
        found.append(
            Finding(
                "shared memory",
                f"{waiting} batches of {batch_bytes / 2**20:.1f} MiB need {waiting * batch_bytes / 2**20:.0f} MiB "
                f"in /dev/shm, which has {limits.shared_bytes / 2**20:.0f} MiB free",
                "fewer workers or a smaller prefetch_factor; in a container, --shm-size or --ipc=host",
            )
        )
    if waiting * tensors + 4 * settings.num_workers + 64 > limits.open_files:
        found.append(
            Finding(
                "open files",
                f"{waiting} batches of {tensors} tensors need more than the limit of {limits.open_files}",
                "raise `ulimit -n`, or torch.multiprocessing.set_sharing_strategy('file_system')",
            )
        )
    if settings.num_workers * limits.blas_threads > 2 * limits.cores:
        found.append(
            Finding(
                "threads",
                f"{settings.num_workers} workers x {limits.blas_threads} BLAS threads on {limits.cores} cores",
                "set OMP_NUM_THREADS=1 (and OPENBLAS_NUM_THREADS, MKL_NUM_THREADS) for the workers",
            )
        )
    return found
