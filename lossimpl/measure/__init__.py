"""Measuring: one file per question.

clock      how long does a call take, and when has that been answered?  (wall: the clock for everything else)
cuda       the same on a GPU, by its own events; cuda_device and cuda_board are what it asks
busy       did somebody else use the machine meanwhile?
threads    how many threads does a measurement use?
memory     how many bytes does a call take, and how many wait for backward?
ceilings   how fast can this machine copy and read?  (caches: what fits where)
roofline   is this time possible at all, and what share of the ceiling is it?
workload   the call that is timed: forward, step or backward of one case
row        everything about one case and one implementation
fitness    is this machine fit for measuring?
"""
