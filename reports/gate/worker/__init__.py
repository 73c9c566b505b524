"""The program that runs inside one side: `python -P worker`, a job as JSON on stdin, answers as JSON on stdout.

It is the only part of the gate that imports the measured package, and it imports nothing else of ours, so that both
sides are measured by the same code. `start` precedes the answer of each row: if the process dies, the last row started
is the cause. Output of the benchmarks goes to stderr.

suite     the benchmarks of a revision: which rows there are, how a row is called
tasks     the tasks of a job
timing    seconds per call
counting  instructions per call
machine   what else the machine did meanwhile
"""
