"""How often does replay err? K random rows of a file replayed as stored, and with all their rounds scaled.

python tests/experiments/replay_experiment.py FILE [K] [FACTOR] [ROUNDS] > OUT

The new rounds of each row are printed as a line of JSON, so that another rule can be tried on them. Both are judged by
the same new rounds. Prints a table of verdicts. With the factor 1.2, at most 1 in 20 of the first should be "not
reproduced", and at least 18 in 20 of the second.
"""

import dataclasses
import json
import random
import sys
from collections import Counter
from pathlib import Path

from lossimpl import comparison, lookup, registry, replaying
from lossimpl.forks import Server
from lossimpl.replayable import stored_row


def scaled(row, factor):
    """The row with every time multiplied."""
    rounds = (
        dataclasses.replace(one, seconds=one.seconds * factor, samples=tuple(factor * s for s in one.samples))
        for one in row.rounds
    )
    return dataclasses.replace(row, rounds=tuple(rounds))


def main(file, count=40, factor=1.2, rounds=replaying.ROUNDS):
    """Replay and count."""
    entries = lookup.found_in(Path(file)).entries
    fit = [one for one in entries if one.record["status"] == "ok" and len(one.record.get("rounds", ())) >= 4]
    print(f"{len(fit)} of {len(entries)} rows can be replayed")
    chosen = [stored_row(one, entries) for one in random.Random(0).sample(fit, min(count, len(fit)))]
    with Server() as server:
        for one in chosen:
            names = [each.implementation for each in (one.row, *one.beside)]
            comparison.prepare(server, registry.get(one.row.loss), names)
        replays = replaying.measured(server, chosen, rounds, print)
    table = Counter()
    for one in replays:
        print(json.dumps({name: list(map(dataclasses.asdict, rows)) for name, rows in one.found.items()}))
        for name, times in (("as stored", 1.0), (f"scaled by {factor:g}", factor)):
            row = one.stored.row
            one.stored = dataclasses.replace(one.stored, row=scaled(row, times))
            found = one.judgement()
            one.stored = dataclasses.replace(one.stored, row=row)
            table[name, found.verdict] += 1
            print(f"{name:>14}: {row.loss} {row.implementation} {row.shape} {row.mode}: {found.verdict}")
            print(*(f"{'':16}{line}" for line in found.lines), sep="\n", flush=True)
    for (name, verdict), times in sorted(table.items()):
        print(f"{name:>14}  {verdict:<15} {times}")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]), *map(float, sys.argv[3:4]), *map(int, sys.argv[4:5]))
