"""A tiny project with benchmarks whose clock is simulated: real commits, builds and processes, reproducible times.

`benchmarks/calls.py` controls the worker's clock: a call takes `toy.seconds`, times a noise that each process draws
once from a counter, the size of the file that the environment variable TOY_DRAWS names.
"""

import json
import subprocess
import textwrap

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "toy"
version = "1"

[tool.setuptools]
packages = ["toy"]
"""

CALLS = """
import os
import random
import time

import toy

with open(os.environ["TOY_DRAWS"], "a") as draws:  # appending is atomic: two processes never draw the same
    draws.write(".")
    draws.flush()
    draw = draws.tell()
noise = random.Random(draw).lognormvariate(0, NOISE)
now = [0.0]


def tick():
    now[0] += 1e-7
    return now[0]


time.perf_counter = tick


def refusal(stem, *params):
    return toy.refusal(*params)


def ready(stem, *params):
    def call():
        if stem == "loading":
            now[0] += 64 / toy.rates(*params)[1]
        else:
            now[0] += toy.seconds(*params) * noise
            toy.work(*params)

    return call
"""

BENCHMARK = """
import json
import os

from . import calls
import toy


class Loss:
    params = (IMPLEMENTATIONS, ("8", "64"))

    def track_seconds(self, *params):
        path = os.environ.get("LOSSIMPL_ROWS")
        toy.work(*params)
        if path:
            line = {"benchmark": "loss.Loss.track_seconds", "params": [repr(one) for one in params], "status": "ok"}
            with open(path, "a") as file:
                file.write(json.dumps({**line, **toy.record(*params)}) + "\\n")
        return {"samples": [calls.toy.seconds(*params)], "number": 1}
"""

LOADER = """
import json
import os

from . import calls


class Loading:
    params = (("digits",), (0, 2), (False,))

    def track_seconds_per_sample(self, *params):
        path = os.environ.get("LOSSIMPL_ROWS")
        if path:
            name = "loading.Loading.track_seconds_per_sample"
            line = {"benchmark": name, "params": [repr(one) for one in params], "seconds": 0.1}
            with open(path, "a") as file:
                file.write(json.dumps({**line, **calls.toy.loaded(*params)}) + "\\n")
        if calls.toy.loaded(*params)["status"] != "ok":
            raise RuntimeError("wrong-data")
        return {"samples": [1 / rate for rate in calls.toy.rates(*params)], "number": 1}
"""

PACKAGE = """
def refusal(*params):
    return None


def seconds(implementation, size):
    return {"naive": 4e-3, "native": 1e-3}[implementation] * (1 + int(size) / 64)


def work(*params):
    pass


def rates(dataset, workers, pinned):
    from benchmarks import calls
    return [rate * (1 + workers) / calls.noise for rate in (700.0, 1000.0, 5000.0)]


def loaded(*params):
    return {"status": "ok", "attribution": {"dataset": 1e-3, "pin": None}}


def record(*params):
    return {"peak_bytes": 1_000_000, "saved_bytes": 500_000, "agreement": {"value_max_rel": 1e-6, "verdict": "ok"}}
"""


class Toy:
    """The repository in `folder`; every `commit` makes a revision of its current files."""

    def __init__(self, folder, noise=0.02):
        self.folder = folder
        self.write("pyproject.toml", PYPROJECT)
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/calls.py", CALLS.replace("NOISE", str(noise)))
        self.write("benchmarks/loss.py", BENCHMARK.replace("IMPLEMENTATIONS", '("naive", "native")'))
        self.write("toy/__init__.py", PACKAGE)
        self.git("init", "--quiet", "--initial-branch=main")
        self.base = self.commit("base")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def replace(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def git(self, *arguments):
        identity = ["-c", "user.name=toy", "-c", "user.email=toy@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


def verdicts(outcome):
    """The verdicts by the parameters of the rows."""
    return {json.dumps(row.params): row.verdict for row in outcome.rows}
