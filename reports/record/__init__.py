"""Everything that was measured, read from `results/`: rows, manifests, hard cases, self-tests and what nights reported.

kinds      what a field may hold
schema     the fields of a side-car's lines
documents  the JSON files of a machine
formats    one line of a side-car, checked
asv        asv's own files
units      which files are read together
reader     one unit; a broken file or line costs only itself
frames     rows and sessions as frames
columns    the archive's tables, and records out of them again
summary    what each session has, counted
location   a folder or object storage
archive    partitions of a machine and a month; query, unpack and retention work on them
mirror     what an archive lacks of the folder that it is derived from
stored     an archive as pages and nights ask for it
document   docs/record.md
command    `python -m reports record`
transfer   results brought from a branch or folder that all machines share, and sent there
outbox     results that wait to be sent, outside the checkout; git runs git
union      two versions of a result file as one
rounds     a row's rounds as the numbers of its session, with their intervals between runs
rows       what a row is called, in asv's files, in side-cars and in the suite alike
lines      files of JSON lines that are still being written
lists      those of docs/: mutants and ways of calling

`lossimpl.files` opens the files, with a bound on their size.
A new kind of side-car needs its fields in `schema`, a line in `formats.SIDE_CARS`, and one in `document.PARTS`.
"""
