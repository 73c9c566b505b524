"""One more implementation of a loss, and a new loss, added to lossimpl through an entry point."""

from lossimpl.registry import register, register_loss
from lossimpl_extra.cauchy import LOSS
from lossimpl_extra.mse import addcmul


def register_all() -> None:
    """What the entry point of `pyproject.toml` names; lossimpl calls it once."""
    register("mse_loss", "addcmul", addcmul)
    register_loss(LOSS)
