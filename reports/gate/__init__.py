"""The PR gate: two revisions, the same benchmarks, one verdict per row and a known error rate.

command       what the user asks, what the exit code says
sides         both revisions built, each in an overlay on the one torch installation
touched       which rows a diff can reach
worker        the program that runs inside a side: it alone imports the measured package
processes     a worker as a child process, with time limits, its last words kept
family        what descends from a worker, and its end
rows          what a row is called, which rows there are, and which of them fit the budget
session       the order of the work within the budget
design        which rows to measure next, and when a verdict stands
quality       agreement, peak memory and saved bytes: changes that no noise excuses
instructions  instruction counts under Callgrind
explain       where a slower row spends the time
outcome       everything that is known at the end, as JSON
render        the same as Markdown and as a page
selftest      the gate measured by itself: false alarms, and what it finds; selftest_instructions its part by counts
"""
