"""Conformance: every hard case on every implementation, in child processes; and whether the checks catch mutants.

run           the table: one result per case, implementation, device and dtype
isolation     calls in a child process with a deadline
ways          the table under every way of calling a loss, counted
programs      ways through recorded programs: torch.jit.trace, torch.fx, ONNX
batches       compiling many cases at once
determinism   is the same call bitwise the same under other circumstances?
mutants       wrong implementations, and the first check that refuses each
"""
