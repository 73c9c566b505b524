"""An observation as one page that needs nothing else: the three lines, the causes, the waits over time, all numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from lossimpl import wording
from lossimpl.loading.observation import report, timeline
from lossimpl.loading.observation.numbers import Observation

WIDTH, HEIGHT, BARS = 720, 120, 240  # of the plot of waits, in pixels; and how many bars it has
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}"
    "td,th{padding:.2rem .8rem .2rem 0;text-align:left}td.number{text-align:right;font-variant-numeric:tabular-nums}"
    ".bar{height:.8rem;background:#3465a4;display:inline-block;vertical-align:middle}.lead{background:#f3f5f8;"
    "padding:.8rem 1rem;border-left:4px solid #3465a4}svg{width:100%;height:auto}"
)


def page(found: Observation) -> str:
    """The whole page."""
    parts = [*head(found), *causes(found), *waits(found), *numbers(found)]
    title = f"What loading costs: {escape(found.dataset)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"</head><body>{''.join(parts)}</body></html>\n"
    )


def head(found: Observation) -> Iterator[str]:
    """The title, the three lines, and the settings."""
    yield f"<h1>What loading costs: {escape(found.dataset)}</h1>"
    yield f'<div class="lead">{"".join(f"<p>{escape(line)}</p>" for line in report.lines(found))}</div>'
    if found.settings is not None:
        yield f"<p>Observed with <code>DataLoader({escape(found.settings.text)})</code>.</p>"


def causes(found: Observation) -> Iterator[str]:
    """The causes of waiting as bars."""
    total = sum(found.causes.values())
    if not total:
        return
    yield "<h2>What training waited for</h2><table>"
    for cause, seconds in found.causes.items():
        width = max(1.0, 300 * seconds / total)
        yield (
            f"<tr><td>{escape(timeline.WORDS[cause])}</td><td class='number'>{wording.percent(seconds / total)}</td>"
            f"<td class='number'>{wording.seconds(seconds)}</td><td><span class='bar' style='width:{width:.0f}px'>"
            "</span></td></tr>"
        )
    yield "</table>"


def waits(found: Observation) -> Iterator[str]:
    """The wait of each step over time, the longest of neighbours where there are more than bars."""
    if not found.waits:
        return
    size = -(-len(found.waits) // BARS)
    heights = [max(found.waits[start : start + size]) for start in range(0, len(found.waits), size)]
    tallest, steps = wording.seconds(max(heights)), wording.count(found.steps)
    yield f"<h2>Wait per step</h2><p>The tallest bar is {tallest}; {steps} steps.</p>"
    yield f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Wait per step">{"".join(bars(heights))}</svg>'


def bars(heights: Sequence[float]) -> Iterator[str]:
    """One rectangle per height."""
    tallest, width = max(heights) or 1.0, WIDTH / len(heights)
    for number, height in enumerate(heights):
        tall = HEIGHT * height / tallest
        yield (
            f'<rect x="{number * width:.1f}" y="{HEIGHT - tall:.1f}" width="{max(0.5, 0.8 * width):.1f}" '
            f'height="{tall:.1f}" fill="#3465a4"/>'
        )


def numbers(found: Observation) -> Iterator[str]:
    """All other numbers as a table."""
    rows = {
        "Steps": wording.count(found.steps),
        "Epochs": wording.count(found.epochs),
        "Step": wording.seconds(found.step_seconds),
        "Wait per step": wording.seconds(found.wait_seconds),
        "Step without any loading": wording.seconds(found.bound),
        "Making a batch, in one worker": wording.seconds(found.making_seconds),
        "of it on a processor": wording.seconds(found.making_processor),
        "Memory of all processes": wording.size(found.memory_bytes or None),
        "Processes": wording.count(found.processes),
        "Cores in use": wording.digits(found.cores_used) if found.cores_used is not None else wording.NOTHING,
        "Rank": f"{found.rank} of {found.world}",
    }
    yield "<h2>Numbers</h2><table>"
    yield from (f"<tr><td>{name}</td><td class='number'>{escape(value)}</td></tr>" for name, value in rows.items())
    yield "</table>"
