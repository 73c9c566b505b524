"""Everything that was measured, read from `results/`: rows, manifests, hard cases, self-tests, nights.

reader     opens the files and joins them into one frame
formats    what a file or line may hold
"""
