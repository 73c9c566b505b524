"""Everything that was measured, read from `results/`: rows, manifests, hard cases, self-tests and what nights reported.

schema     what each field may hold
files      the bytes of a file, bounded
formats    one file or line, checked
units      which files are read together
reader     one unit, or a whole folder as one frame; a broken file or line costs only itself
columns    the archive's tables, and records out of them again
location   a folder or object storage
archive    partitions of a machine and a month; query, unpack and retention work on them
stored     an archive as the pages ask for it
document   docs/record.md
command    `python -m reports record`
rounds     a row's rounds as the numbers of its session, with their intervals between runs
rows       what a row is called, in asv's files, in side-cars and in the suite alike
lines      files of JSON lines that are still being written
"""
