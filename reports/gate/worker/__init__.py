"""The program that runs inside one side: `python -P worker`, a job as JSON on stdin, answers as JSON on stdout.

It is the only part of the gate that imports the measured package, and it imports nothing else of ours, so that both
sides are measured by the same lines. `start` precedes each row's answer: when the process dies, the last one started
did it. What benchmarks print goes to stderr.

suite     the benchmarks of a revision: which rows there are, how a row is called
tasks     what a job can ask for
timing    seconds per call
counting  instructions per call
machine   what else the machine did meanwhile
"""
