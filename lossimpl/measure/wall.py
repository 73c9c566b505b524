"""The wall clock for those who time something else than a call: the only other place that reads one."""

from time import perf_counter as now
from time import sleep

__all__ = ["now", "sleep"]
