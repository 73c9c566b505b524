"""`python -m reports sweep`: measure HEAD on this machine through asv, with a progress bar, resumable after Ctrl-C.

command    the command itself
questions  the rows that a sweep measures: quick, table or full
machine    the name of this machine, and its facts for asv
overlay    a virtual environment on top of the running interpreter's packages, for asv and the gate
store      the side-car of a sweep, and the marker of an interrupted one
warm       compile and build before measuring, so that no row waits for a compiler
watch      run asv and show its progress
summary    loaders, rows that were not ranked and disturbances, in the terminal
"""
