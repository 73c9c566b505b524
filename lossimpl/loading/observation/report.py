"""An observation as three lines: what loading costs, which settings to try, what they would give; and as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict

from lossimpl import wording
from lossimpl.loading.observation import timeline
from lossimpl.loading.observation.numbers import STEP, Observation, cause, named_causes
from lossimpl.measure.threads import usable_cores

VERSION = 1


def lines(found: Observation) -> Iterator[str]:
    """The three lines."""
    if not found.steps or found.stall_fraction is None:
        yield "Nothing was observed: no batch was taken from the loader."
        return
    where = f"rank {found.rank} of {found.world}: " if found.world > 1 else ""
    yield where + cost_line(found)
    yield advice_line(found)
    yield gain_line(found)


def cost_line(found: Observation) -> str:
    """What loading costs."""
    share, wait = wording.percent(found.stall_fraction), wording.seconds(found.wait_seconds)
    text = (
        f"Loading costs {share} of this training: {wait} of waiting per step of {wording.seconds(found.step_seconds)}"
    )
    if cause(found) == STEP:
        return f"{text}; the training step is the bottleneck, not the loader."
    named = [f"{timeline.WORDS[cause]} ({wording.percent(part)})" for cause, part in named_causes(found)]
    return f"{text}, most of it for {wording.names(named)}." if named else f"{text}."


HINTS = {
    timeline.TRANSFER: "send less between processes: tensors instead of arrays or objects, and the smallest dtype",
    timeline.STRAGGLER: "look for what slows that worker down (its shard, its core); in_order=False hides it, but "
    "changes the order",
    timeline.COLLATE: "make collate_fn cheaper, such as by stacking arrays once",
    timeline.TRANSFORM: "make the transform cheaper, or do it once for the batch on the device",
    timeline.DATASET: "make a sample cheaper, such as by decoding a smaller copy of the data",
    timeline.PIN: "try pin_memory=False",
    timeline.START: "use persistent_workers=True, or make the dataset cheaper to copy and to start",
    timeline.LOADER: "fetch whole batches at once, by a `__getitems__` of the dataset",
}
UNTRACED = "begin to observe before the workers start, so that they can be traced"


def advice_line(found: Observation) -> str:
    """Which settings to try."""
    if found.suggestions:
        changed = {name: value for name, value in found.suggestions[0].items() if name != "predicted_seconds"}
        text = ", ".join(f"{name}={value}" for name, value in changed.items())
        return f"Try {text} (`lossimpl loaders --from` measures it and its neighbours)."
    if cause(found) == STEP:
        return "No setting of the loader would make it faster; speed up the step, or use fewer workers."
    untraced = cause(found) == timeline.LOADER and found.settings is not None and found.settings.num_workers > 0
    hint = UNTRACED if untraced else HINTS[cause(found)]
    return f"No other setting is expected to help on {usable_cores()} cores: {hint}."


def gain_line(found: Observation) -> str:
    """What that would give at the observed step, and the bound without any loading."""
    how = "measured by a replay" if found.ideal_step_seconds else "from the steps alone"
    bound = f"{wording.digits(1 / found.bound)} steps/s without any loading ({how})" if found.bound else "no bound"
    present = f"{wording.digits(1 / found.period)} steps/s now"
    if not found.suggestions:
        return f"At the observed step: {present}, at most {bound}."
    seconds = float(found.suggestions[0]["predicted_seconds"])
    would = f"{wording.digits(1 / seconds)} steps/s ({wording.times(found.period / seconds)})"
    return f"At the observed step that would give {would}: {present}, at most {bound}."


def to_json(found: Observation) -> str:
    """All numbers, and the three lines."""
    record = {
        "kind": "observation",
        "version": VERSION,
        **asdict(found),
        "settings": asdict(found.settings) if found.settings else {},
        "suggestions": [
            {name: value for name, value in one.items() if name != "predicted_seconds"} for one in found.suggestions
        ],
        "predicted_seconds": [one["predicted_seconds"] for one in found.suggestions],
        "cause": cause(found) if found.steps else None,
        "lines": list(lines(found)),
        "python": sys.version.split()[0],
    }
    return json.dumps(record)
