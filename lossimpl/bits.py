"""The bits of a result, so that "the same to the bit" can be decided later, and how far apart two results are if not.

A digest covers all elements. Of the elements themselves a few are kept, evenly spaced, in hexadecimal: two results that
differ can be compared in these, in units in the last place (ULPs), which for a value that is one number is the whole
distance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 16  # elements
Bits = dict[str, str]  # of a tensor: `digest`, and `elements` in hexadecimal, separated by spaces


def of(tensor: Tensor) -> Bits:
    """The bits of a tensor of floating-point numbers.

    >>> import torch
    >>> of(torch.tensor([1.0, -2.0]))["elements"]
    '3f800000 c0000000'
    """
    import torch

    size = tensor.element_size()
    whole = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[size]
    flat = tensor.detach().cpu().reshape(-1).contiguous().view(whole)
    kept = flat[:: max(1, flat.numel() // KEPT)][:KEPT].tolist()
    return {
        "digest": hashlib.sha256(flat.numpy().tobytes()).hexdigest()[:16],
        "elements": " ".join(f"{one % 256**size:0{2 * size}x}" for one in kept),
    }


def apart(stored: str, now: str) -> int:
    """The ULPs between two numbers of one type: how many numbers of the type lie between them, and one.

    >>> apart("3f800000", "3f800001"), apart("00000001", "80000001"), apart("00000000", "80000000")
    (1, 2, 0)
    """
    return abs(_place(stored) - _place(now))


def _place(number: str) -> int:
    """The place of a number among all of its type, with zero at 0: positive ones are sorted like their bits."""
    bits, sign = int(number, 16), 1 << (4 * len(number) - 1)
    return bits if bits < sign else sign - bits


def difference(stored: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """How two results differ, in words; the empty string if they are the same to the bit.

    >>> one = {"digest": "ab", "elements": "3f800000"}
    >>> difference(one, one), difference(one, {"digest": "cd", "elements": "3f800002"})
    ('', '2 ULPs apart')
    """
    if stored["digest"] == now["digest"]:
        return ""
    before, after = stored["elements"].split(), now["elements"].split()
    if [*map(len, before)] != [*map(len, after)]:
        return "another type or shape"
    most = max(map(apart, before, after), default=0)
    unit = "ULP" if most == 1 else "ULPs"
    if len(before) < KEPT:
        return f"{most} {unit} apart"
    if before == after:
        return f"different, but not in the {KEPT} elements that are stored"
    return f"different, by up to {most} {unit} in the {KEPT} elements that are stored"
