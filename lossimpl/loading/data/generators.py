"""Which random generators a sample drew from, and the state of each before it did.

Draws themselves cannot be seen in a sample's bytes. But two workers whose generator is in the same state when they make
their first sample draw the same numbers, and so do two epochs that begin with the same state.
"""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lossimpl.loading.data.objects import is_a, walk

LOOKS = 2  # samples before which the dataset is searched for generators: some are made by the first sample
HELD = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
GLOBAL: dict[str, Callable[[], bytes]] = {
    "torch": lambda: torch.get_rng_state().numpy().tobytes(),
    "numpy.random": lambda: _of_legacy(np.random.mtrand._rand),  # numpy's global one
    "random": lambda: _of_python(random._inst),  # the one behind `random.random`
}


def _of_python(generator: random.Random) -> bytes:
    return hash(generator.getstate()[1]).to_bytes(8, "little", signed=True)  # whole numbers hash alike everywhere


def _of_legacy(generator: Any) -> bytes:
    _, keys, position, *rest = generator.get_state()
    return bytes(keys.tobytes()) + repr((position, rest)).encode()


def state_of(generator: Any) -> bytes:
    """The state of a generator, as bytes that are equal if and only if the next draws are."""
    if is_a(generator, torch.Generator):
        return bytes(generator.get_state().numpy().tobytes())
    if is_a(generator, np.random.Generator):
        return pickle.dumps(generator.bit_generator.state, protocol=4)
    if is_a(generator, np.random.RandomState) and generator.get_state(legacy=False)["bit_generator"] == "MT19937":
        return _of_legacy(generator)
    return _of_python(generator) if is_a(generator, random.Random) else pickle.dumps(generator, protocol=4)


def short(state: bytes) -> str:
    """A state as a short text."""
    return hashlib.blake2b(state, digest_size=8).hexdigest()


class Generators:
    """The global random generators and those that `owner` (by its `name`) holds or uses, by name."""

    def __init__(self, owner: Any, name: str = "dataset") -> None:
        self.owner, self.name, self.looks = owner, name, 0
        self.held: dict[str, Any] = {}

    def look(self, beside: Any = None) -> None:
        """Search the owner, and the iterator `beside` it, for generators, before each of the first samples."""
        if self.looks >= LOOKS:
            return
        self.looks += 1
        for root, name in ((self.owner, self.name), (beside, f"{self.name}.__iter__")):
            found = {path: value for path, value in walk(root, name) if is_a(value, HELD)} if root is not None else {}
            self.held |= found

    def states(self) -> dict[str, str]:
        """The state of each generator now; one that cannot be read is left out."""
        found = {name: short(read()) for name, read in GLOBAL.items()}
        for path, generator in self.held.items():
            try:
                found[path] = short(state_of(generator))
            except Exception:
                continue
        return found

    def drawn(self, before: dict[str, str]) -> dict[str, str]:
        """Of the states `before` a sample those of the generators that have moved on since."""
        now = self.states()
        return {name: state for name, state in before.items() if now.get(name, state) != state}
