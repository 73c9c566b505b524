"""`python -m reports nightly`: measure new commits, find the commit that changed a series, report it once.

command    the night
pairs      the commits of a finding measured again in pairs of processes
settle     what these pairs make of a finding
memory     what earlier nights reported
"""
