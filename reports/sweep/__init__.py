"""`python -m reports sweep`: measure HEAD on this machine through asv, with a progress bar, and go on after Ctrl-C.

questions  which rows a sweep asks for: quick, table or full
machine    the name of this machine, and what asv wants to know about it
store      the side-car of a sweep, and the marker of one that was interrupted
warm       compile and build ahead, so that no row waits for a compiler
watch      run asv and show what it does
summary    the short ranked table at the end
command    the command itself
"""
