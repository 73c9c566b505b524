"""Everything that was measured, read from `results/`: rows, manifests, hard cases, self-tests and what nights reported.

reader     opens the files and joins them into one frame; a broken one costs only itself
formats    what a file or a line may hold
rounds     a row's rounds as the numbers of its session, with their intervals between runs
rows       what a row is called, in asv's files, in side-cars and in the suite alike
lines      files of JSON lines that are still being written
"""
