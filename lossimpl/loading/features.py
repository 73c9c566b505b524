"""What the installed torch and Python offer a loader: start methods, thread workers, free threading."""

from __future__ import annotations

import inspect
import multiprocessing
import platform
import sys

FORKSERVER_SINCE = (3, 14)  # the default on Linux from this version of Python on


def has_thread_workers() -> bool:
    """Whether `DataLoader` takes `worker_method="thread"` (pytorch/pytorch#161044)."""
    from torch.utils.data import DataLoader

    return "worker_method" in inspect.signature(DataLoader.__init__).parameters


def free_threaded() -> bool:
    """Whether this Python runs threads without a global lock."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def default_method() -> str:
    """How this process starts workers unless `multiprocessing_context` says otherwise."""
    return multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]


def sentence() -> str:
    """All of it in one line."""
    import torch

    others = [name for name in multiprocessing.get_all_start_methods() if name != default_method()]
    since = "" if sys.version_info >= FORKSERVER_SINCE else "; from Python 3.14 on forkserver is the default on Linux"
    threads = "available" if has_thread_workers() else f"not in torch {torch.__version__.partition('+')[0]}"
    free = "yes" if free_threaded() else "no"
    default = f"{default_method()} (default of Python {platform.python_version()})"
    return (
        f"Start methods: {', '.join([default, *others])}{since}. "
        f"Thread workers: {threads}. Free-threaded Python: {free}."
    )
