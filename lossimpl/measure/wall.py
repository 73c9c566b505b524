"""The wall clock, for timing anything but calls."""

from time import perf_counter as now
from time import sleep

__all__ = ["now", "sleep"]
