"""Pure statistics of paired comparisons: numpy and scipy only, no files, no clocks, no torch.

The design behind every number here. Two revisions are measured in pairs of fresh processes; a fair coin, tossed anew
for each pair, says which of the two stands first. Let x1 and x2 be the log times that the first and the second process
would have measured had both revisions been the same code. The pair's log ratio head/base is then c (x2 - x1) with
c = +1 or -1 by its coin. The coin knows nothing of the x, so given all magnitudes |x2 - x1| the signs are independent
fair coins, whatever the noise: heavy tails, several modes, autocorrelation, bursts and drift included. The exact
signed-rank test on the pairs' log ratios therefore keeps its nominal error on identical code by this randomisation
alone, without any assumption.
"""

from reports.statistics.multiplicity import benjamini_hochberg, minimum_pairs, spend
from reports.statistics.noise import drifts, is_bimodal, spread
from reports.statistics.paired import (
    Estimate,
    equivalence_p,
    estimate,
    log_ratios,
    signed_rank_p,
)
from reports.statistics.power import detectable_ratio, pairs_needed

__all__ = [
    "Estimate",
    "benjamini_hochberg",
    "detectable_ratio",
    "drifts",
    "equivalence_p",
    "estimate",
    "is_bimodal",
    "log_ratios",
    "minimum_pairs",
    "pairs_needed",
    "signed_rank_p",
    "spend",
    "spread",
]
