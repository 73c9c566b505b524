"""Conformance: every hard case on every implementation, in child processes; and whether the checks catch mutants.

run           the table: one result per case, implementation, device and dtype
isolation     calls in a child process with a deadline
batches       compiling many cases at once
determinism   is the same call bitwise the same under other circumstances?
mutants       wrong implementations, and the first check that refuses each
"""
