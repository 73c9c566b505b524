"""Statistics of the record: pairs of processes, change points, ranks. No files, no clocks, no torch.

paired, multiplicity, noise, power    tests of process pairs (numpy and scipy only)
changes, nights                       change points of a history, and what nights reported of them
sessions                              which session a statement is about, and what is a point of a history
ranking, roofline                     ranks within a case, shares of the ceiling, the ceilings of a session
comparison, answers, loading          against which alternative, which implementation, which loader settings

Why comparisons are paired: two revisions are measured in pairs of fresh processes, and a fair coin, tossed for each
pair, decides which of the two runs first. Let x1 and x2 be the log times that the first and the second process would
have measured if both revisions were the same code. The pair's log ratio head/base is then c (x2 - x1) with c = +1 or -1
by its coin. The coin is independent of x1 and x2, so given all magnitudes |x2 - x1| the signs are independent fair
coins, whatever the noise: heavy tails, several modes, autocorrelation, bursts and drift included. The exact signed-rank
test on the pairs' log ratios therefore keeps its nominal error on identical code by this randomisation alone.
"""
