"""What textbooks say about losses and data loading, each statement with an experiment that can refute it.

Every module of this package states one claim: the statement with its source, the criteria, and the experiment as
a function of a seed. The criteria were settled on seed 0; the stored verdicts are of other seeds. `support/` has what
the claims share. `lossimpl claims` runs them.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossimpl.claims.support.model import Claim


def names() -> list[str]:
    """The names of all claims, sorted: the modules of this package; none is imported."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg)


def get(name: str) -> Claim:
    """The claim of that name. Raises ValueError for an unknown one.

    >>> get("mean_and_median").source.year
    2009
    >>> get("no_free_lunch")
    Traceback (most recent call last):
    ValueError: claim 'no_free_lunch': `lossimpl claims --list` names all there are
    """
    if name not in names():
        raise ValueError(f"claim {name!r}: `lossimpl claims --list` names all there are")
    found: Claim = importlib.import_module(f"{__name__}.{name}").CLAIM
    return found
