"""`python -m reports sweep`: measure HEAD on this machine in rounds, resumable after Ctrl-C.

command    the command itself
questions  the rows that a sweep measures: quick, table or full
session    rounds spread over the session, and where further rounds go
engine     asv as engine and store: environments, fork server, result files
store      what a session writes, and the marker of an interrupted one
warm       compile and build before measuring, so that no row waits for a compiler
progress   what a session shows while it runs
summary    the ranking, disturbed and failed rows, in the terminal
"""
