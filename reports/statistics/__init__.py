"""Pure statistics of paired comparisons: numpy and scipy only, no files, no clocks, no torch.

The design behind every number here. Two revisions are measured in blocks of four fresh processes, base-head-head-base
or head-base-base-head; a fair coin chooses which. Let x1..x4 be the log times that the four processes would have
measured had both revisions been the same code. A block's value, the mean of its two log ratios head/base, is then
c (x2 + x3 - x1 - x4) / 2 with c = +1 or -1 by the coin. Its sign is a fair coin whatever the law of the x: heavy tails,
autocorrelation, several modes. The exact signed-rank test on block values therefore keeps its nominal error on
identical code without any assumption, and a drift that is linear in time cancels inside each block.
"""

from reports.statistics.multiplicity import benjamini_hochberg, minimum_pairs, spend
from reports.statistics.noise import drifts, is_bimodal, spread
from reports.statistics.paired import (
    Estimate,
    block_values,
    equivalence_p,
    estimate,
    log_ratios,
    shift_p,
    signed_rank_p,
)
from reports.statistics.power import detectable_ratio, pairs_needed

__all__ = [
    "Estimate",
    "benjamini_hochberg",
    "block_values",
    "detectable_ratio",
    "drifts",
    "equivalence_p",
    "estimate",
    "is_bimodal",
    "log_ratios",
    "minimum_pairs",
    "pairs_needed",
    "shift_p",
    "signed_rank_p",
    "spend",
    "spread",
]
