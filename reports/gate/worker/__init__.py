"""The program that runs inside one side: `python -P worker`, a job as JSON on stdin, answers as JSON on stdout.

It is the only part of the gate that imports the measured package, and it imports nothing else of ours, so that both
sides are measured by the same code. `start` precedes the answer of each row: if the process dies, the last row started
is the cause. Output of the benchmarks goes to stderr.

suite     the benchmarks of a revision: which rows there are, how a row is called
tasks     the tasks of a job
executed  which functions of the measured package a call executes
forks     rows in forks of a process that has imported everything, timed batch by batch on request
timing    seconds per call, and on a GPU the device's own time
counting  instructions per call
"""
