"""The PR gate: two revisions, the same benchmarks, one verdict per group of rows with a known error rate.

command          the command line and its exit code
run              one comparison from two revisions to an outcome
diff             which functions differ in code that runs, and the hunks of the diff
sides            both revisions, each built into an overlay on the packages of its environment
environments     the environment of a side: packages, a Python, variables
effects          what another environment changes besides times
kernels          the C++ kernels of both; compiler keeps their objects from run to run
touched          which rows a diff can affect
representatives  which rows execute the same code, and the one measured for them
judge            the measurements inside the budget: checks, instructions, times, explanations
session          workers on both sides: what they can run, one check of each row, times in pairs
worker           the program that runs inside a side; the only part that imports the measured package
processes        a worker as a child process, with time limits and its error output
family           the processes that a worker started, and how they are ended
alternating      a pair of processes whose forks take turns of a few milliseconds
design           which rows to measure next, and when a verdict is reached
quality          changes of agreement, peak memory and saved bytes, which have no noise
instructions     instruction counts under Callgrind
explain          where a slower row spends its time
machine, reasons what else the machine did, and why a verdict is not firmer
draft, outcome   everything that is known, while it grows and at the end, as JSON
render           the same as Markdown and as a page
selftest         error rates of the gate, measured by itself; bench runs it, plants slow rows down,
                 selftest_instructions is its part by instruction counts
experiment       planted changes through the gate's own command
"""
