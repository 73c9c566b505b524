"""The board's state beside a sample: clock of the multiprocessors, temperature, and throttling.

Read through NVML and never written: no clock, power limit or mode is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

# NVML's clock event reasons that mean "slower than the board could". Idle (0x1) and chosen clocks (0x2) do not.
REASONS = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal limit",
    0x40: "hardware thermal limit",
    0x80: "power brake",
}


@dataclass(frozen=True)
class Reading:
    """Clock in MHz, temperature in degrees Celsius, NVML's reason bits; None or 0 where the board does not report
    them."""

    sm_clock_mhz: int | None
    temperature: int | None
    reasons: int

    @property
    def throttled(self) -> bool:
        """Whether one of REASONS applies."""
        return any(self.reasons & bit for bit in REASONS)


class Board(Protocol):
    """Something that gives readings, and counts other processes on it."""

    def read(self) -> Reading:
        """The state now."""

    def others(self) -> int:
        """Processes other than ours that have work on the board."""


class SilentBoard:
    """Used where NVML is unavailable: its readings are empty."""

    def read(self) -> Reading:
        """Nothing known."""
        return Reading(None, None, 0)

    def others(self) -> int:
        """None known."""
        return 0


class NvmlBoard:
    """A board by its UUID, which names the same board to torch and to NVML whatever CUDA_VISIBLE_DEVICES says."""

    def __init__(self, uuid: str) -> None:
        import pynvml

        pynvml.nvmlInit()
        self.nvml: Any = pynvml
        self.handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def read(self) -> Reading:
        """Some tens of microseconds, spent while the device works."""
        return Reading(
            self.ask("nvmlDeviceGetClockInfo", self.nvml.NVML_CLOCK_SM),
            self.ask("nvmlDeviceGetTemperature", self.nvml.NVML_TEMPERATURE_GPU),
            self.ask("nvmlDeviceGetCurrentClocksEventReasons") or 0,
        )

    def others(self) -> int:
        """Compute processes but one, this one: inside a container NVML does not know its number."""
        return max(len(self.ask("nvmlDeviceGetComputeRunningProcesses") or []) - 1, 0)

    def ask(self, question: str, *arguments: Any) -> Any:
        """The answer, or None where this board, driver or version of the library has none."""
        try:
            return getattr(self.nvml, question)(self.handle, *arguments)
        except (self.nvml.NVMLError, AttributeError):
            return None


def current() -> Board:
    """The board behind torch's current device, or a silent one where NVML is absent or refuses."""
    import torch

    try:
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return NvmlBoard(f"GPU-{properties.uuid}")
    except Exception:  # NVML may be absent or forbidden while CUDA works: then a sample has no reading
        return SilentBoard()


def verdict(readings: list[Reading], others: int) -> str:
    """A warning about throttling or other processes on the board, or the empty string.

    >>> verdict([Reading(1980, 40, 0x0), Reading(1200, 84, 0x24)], others=0)
    'the clock was throttled in 1 of 2 samples: power cap, software thermal limit'
    """
    throttled = [reading for reading in readings if reading.throttled]
    found = []
    if throttled:
        seen = 0
        for reading in throttled:
            seen |= reading.reasons
        names = ", ".join(name for bit, name in REASONS.items() if seen & bit)
        found.append(f"the clock was throttled in {len(throttled)} of {len(readings)} samples: {names}")
    if others:
        found.append(f"{others} other processes had work on the board")
    return "; ".join(found)
