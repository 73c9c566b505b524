"""Agreement: how far an implementation is from the float64 oracle, and whether it keeps the contract."""

from lossimpl.agreement.compare import Agreement, compare
from lossimpl.agreement.tolerances import TOLERANCES, Tolerance

__all__ = ["TOLERANCES", "Agreement", "Tolerance", "compare"]
