"""What a user gets wrong ends in one line and a documented exit code, never in a traceback.

0 done, 1 the answer is no, 2 a wrong option, name or file, 130 interrupted.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lossimpl import cli, lookup

APP = cli.assemble()
TORCH = ["--shape", "3x3", "--implementation", "torch", "--rounds", "1"]
ROW = {
    "implementation": "torch",
    "loss": "l1_loss",
    "shape": "3x3",
    "dtype": "float32",
    "device": "cpu",
    "mode": "step",
}
ROUND = {
    **{"number": 1, "position": 1, "seconds": 1.0, "samples": [1.0], "calls": 1, "stop": "", "precision": 0.0},
    **{"warmup_seconds": 0.0, "first_call_seconds": 0.0, "busy": "", "ceiling": 1e9, "started_at": ""},
}
ROW |= {"status": "ok", "format": 2, "rounds": [{**ROUND, "number": number} for number in range(5)]}


def lossimpl(*arguments, module="lossimpl.cli", redirect="", **environment):
    """The finished process of a command line, in a terminal's words."""
    command = [sys.executable, "-m", module, *arguments]
    if redirect:
        command = ["bash", "-c", f'"$@" {redirect}', "bash", *command]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=120, env={**os.environ, **environment}
    )


def assert_refused(done, *words, code=2):
    """The exit code, the words, no traceback."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    said = "".join(one for one in done.stderr if one not in "│\n╭╮╰╯─ ")  # the frame breaks lines anywhere
    for word in words:
        assert word.replace(" ", "") in said


@pytest.fixture
def odd(tmp_path):
    """Files that are not what a command expects."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "short.jsonl").write_text(json.dumps({"implementation": "torch"}))
    for name, word in (("dtype", "float99"), ("mode", "walk"), ("shape", "axb"), ("device", "tpu"), ("loss", "nope")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**ROW, name: word}))
    (tmp_path / "samples.jsonl").write_text(json.dumps({**ROW, "rounds": [{**ROUND, "samples": "abc"}]}))
    for name, value in (("seed", "x"), ("maker", 3), ("options", {"nope": 1})):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({**ROW, name: value}))
    (tmp_path / "old.jsonl").write_text(json.dumps({**ROW, "format": 1, "samples": [1.0] * 7}))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "l1_loss", "--json", "folder"], "folder"),
        (["check", "l1_loss", "--json", "none/rows.jsonl"], "none/rows.jsonl"),
        (["check", "nope", "--mutants"], "it must be one of cross_entropy"),
        (["loaders", "--dataset", "digits", "--output", "folder"], "folder"),
        (["loaders", "--dataset", "digits", "--output", "bytes.json"], "bytes.json"),
        (["loaders", "--dataset", "digits", "--batch-size", "0"], "'--batch-size'"),
        (["loaders", "--dataset", "digits", "--consumer", "walk"], "'sleep'"),
        (["replay", "folder"], "folder: no row of a loss"),
        (["replay", "01234567", "--in", "none"], "none"),
        (["replay", "bytes.json"], "bytes.json"),
        (["replay", "ID", "--in", "short.jsonl"], "short.jsonl, row 1: format: 1"),
        (["replay", "ID", "--in", "old.jsonl"], "old.jsonl, row 1: format: 1, the samples of one process"),
        (["replay", "ID", "--in", "samples.jsonl"], "samples.jsonl, row 1: rounds[0].samples"),
        (["replay", "ID", "--in", "dtype.jsonl"], "float99"),
        (["replay", "ID", "--in", "mode.jsonl"], "walk"),
        (["replay", "ID", "--in", "shape.jsonl"], "shape: it must be numbers joined by x"),
        (["replay", "ID", "--in", "device.jsonl"], "tpu"),
        (["replay", "ID", "--in", "loss.jsonl"], "nope"),
        (["replay", "ID", "--in", "seed.jsonl"], "seed: it must be a whole number, got 'x'"),
        (["replay", "ID", "--in", "maker.jsonl"], "maker: it must be text, got 3"),
        (["replay", "ID", "--in", "options.jsonl"], "l1_loss has no option nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_file_or_name(odd, monkeypatch, arguments, words):
    """Exit code 2 and the word that was wrong; an OSError is what `terminal.run` makes that of."""
    monkeypatch.chdir(odd)
    if "ID" in arguments:
        (entry,) = lookup.found_in(Path(arguments[-1])).entries
        arguments = [entry.id if one == "ID" else one for one in arguments]
    result = CliRunner().invoke(APP, arguments)
    if isinstance(result.exception, OSError):
        assert words in str(result.exception)
    else:
        assert_refused(subprocess.CompletedProcess(arguments, result.exit_code, "", result.output), words)


def test_the_reports_too():
    """`python -m reports` knows its commands, and refuses others as `lossimpl` does."""
    assert_refused(lossimpl("nope", module="reports"), "'nope' is unknown")


@pytest.mark.parametrize("module", ["lossimpl.cli", "reports"])
def test_a_full_disk_and_a_closed_reader(module):
    """A table that cannot be written ends the command in one line."""
    arguments = ["list"] if module == "lossimpl.cli" else []
    assert_refused(lossimpl(*arguments, module=module, redirect="> /dev/full"), "No space left on device")
    assert "Traceback" not in lossimpl(*arguments, module=module, redirect="| head -1").stderr
    assert "Traceback" not in lossimpl(*arguments, module=module, redirect=">&-").stderr


def test_a_terminal_without_signs():
    """In an ASCII locale a formula's signs are question marks."""
    done = lossimpl("compare", "l1_loss", *TORCH, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert "Traceback" not in done.stderr
    assert "|x ? y|" in done.stdout


def test_a_cache_that_cannot_be_written():
    """Native is unavailable with the reason, `auto` takes torch's, and `build` says why."""
    nowhere = {"XDG_CACHE_HOME": "/dev/null/cache", "HOME": "/dev/null"}
    assert_refused(lossimpl("build", **nowhere), "native cannot be built", "/dev/null/cache", code=1)
    done = lossimpl("compare", "l1_loss", "--shape", "3x3", "--implementation", "native", "--json", **nowhere)
    assert done.returncode == 1
    assert json.loads(done.stdout)[0]["status"] == "unavailable"
    code = "import torch, lossimpl; print(lossimpl.l1_loss(torch.ones(2), torch.zeros(2)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **nowhere}
    )
    assert done.stdout == "tensor(1.)\n", done.stderr


STARTED = "import os, lossimpl.cli; os.write(1, b'.'); lossimpl.cli.main()"


@pytest.mark.parametrize("seconds", [0.25, 0.8, 1.2, 1.6, 2.5, 5])
@pytest.mark.parametrize("arguments", [["check", "l1_loss"], ["compare", "l1_loss"]], ids=" ".join)
def test_ctrl_c(arguments, seconds):
    """130 whenever it comes, without the traceback of a child that the terminal interrupts too, and never lost.

    The seconds count from the moment when the program is loaded. Before that, Python itself ends by the signal, and
    how long it takes to start depends on the machine.
    """
    running = subprocess.Popen(
        [sys.executable, "-c", STARTED, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout.read(1) == "."
    time.sleep(seconds)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "Traceback" not in said
