"""`python -m reports nightly`: measure new commits, find those that changed a series, report each once.

command    the night as a command
night      its steps, and health the record of what it planned and what became of it
commits    which commits are new to this machine
judge      what a night found that no earlier night reported
pairs      the commits of a finding measured again in pairs of processes
settle     whether these pairs confirm, move or refute the finding
memory     what earlier nights reported
"""
