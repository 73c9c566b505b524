"""Measuring: one file per question.

types      what the modules below exchange
clock      how long does a call take, and when is that known well enough?  (wall: the clock for everything else)
cuda       the same on a GPU, by its own events; cuda_device and cuda_board wrap the device
busy       did other processes use the machine meanwhile?
threads    how many threads does a measurement use?
memory     how many bytes does a call take, how many does it save for backward, and is there enough?
ceilings   how fast can this machine copy and read?  (caches: what fits where)
roofline   is this time possible at all, and what share of the ceiling is it?
workload   the call that is timed: forward, step or backward of one case
"""
