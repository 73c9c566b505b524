"""The name of this machine in results/: its hardware, never its owner or host name."""

from __future__ import annotations

import re

from asv.machine import Machine, MachineCollection

from lossimpl import environment


def slug(text: str) -> str:
    """Lower-case words and numbers joined by hyphens.

    >>> slug("AMD EPYC 7B13 (TM) @ 2.45GHz")
    'amd-epyc-7b13-2-45ghz'
    """
    return "-".join(re.findall(r"[a-z0-9]+", re.sub(r"\((?:tm|r)\)", " ", text.lower())))


def name() -> str:
    """The model of the processor, its number of cores, and the model of the GPU if there is one."""
    manifest = environment.manifest()
    parts = [slug(manifest["cpu"]["model"]), f"{manifest['threads']['usable']}c"]
    return "-".join(parts + ([slug(manifest["gpu"]["model"])] if manifest["gpu"] else []))


def register() -> str:
    """Register this machine with asv under its name, instead of its host name, and return the name."""
    facts = Machine.get_defaults() | {"machine": name()}
    MachineCollection.save(facts["machine"], facts)
    return str(facts["machine"])
