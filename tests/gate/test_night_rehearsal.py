"""Nights of two machines over one bare repository, with races and everything that ends histories elsewhere.

Real: git, the results branch, clean work trees, judging, the record of the nights, the site. Simulated: measuring.
"""

import json
import shutil
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from planted import BENCHMARK, ROWS, measure

from reports.nightly.commits import Unmeasured
from reports.nightly.night import Run, Steps
from reports.record import transfer
from reports.record.git import GitFailed
from reports.record.stored import Stored
from reports.site.build import build
from reports.site.material import gather

STEPS = ("pull", "push 1", "measure", "push 2", "check", "push 3", "publish", "push 4")  # of a night with one commit
THREAD = threading.local()


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Machine:
    """A machine whose checkout is cleaned before each night; only its state folder survives."""

    name: str
    folder: Path
    origin: Path
    slow: dict[str, int]  # the commit from which each row takes 1.25 times as long
    rng: np.random.Generator
    published: str = ""  # the newest commit that its last page was of
    problems: list[BaseException] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # how its newest night had ended by each page

    def __post_init__(self) -> None:
        self.root, self.state = self.folder / "checkout", self.folder / "state"
        self.state.mkdir(parents=True)

    def begin(self) -> None:
        if not self.root.exists():
            git(self.folder, "clone", "--quiet", str(self.origin), "checkout")
        git(self.root, "fetch", "--quiet", "origin")
        git(self.root, "reset", "--quiet", "--hard", "origin/main")
        git(self.root, "clean", "-ffdxq")

    def night(self, fault: str = "") -> None:
        """One night; `fault` is `kill before|after STEP`, or what goes wrong."""
        THREAD.state, THREAD.offline = self.state, fault == "no network"
        try:
            self.begin()
            run = Run(self.root, self.name, self.steps(fault))
            if fault.startswith("kill"):
                run._end = lambda: None
            run.whole()
        except Killed:
            pass
        except BaseException as problem:
            self.problems.append(problem)

    def there(self) -> transfer.Remote:
        return transfer.remote("origin#results", self.root)

    def steps(self, fault: str) -> Steps:
        there, results = self.there(), self.root / "results"
        whole = Steps(
            pull=lambda: transfer.pull(there, results),
            push=lambda: transfer.push(there, results),
            rows=len(ROWS),
            measure=lambda commit: self.measure(commit, fault),
            check=lambda: fault != "wrong",
            again=list,
            publish=self.publish,
        )
        return self.deadly(whole, *fault.split(" ", 2)[1:]) if fault.startswith("kill") else whole

    def deadly(self, steps: Steps, when: str, which: str) -> Steps:
        """The same steps, of which one kills the process before or after it did its work."""
        done = Counter()

        def wrapped(name, work):
            def step(*given):
                done[name] += 1
                dies = which in (name, f"{name} {done[name]}")
                if dies and when == "before":
                    raise Killed
                result = work(*given)
                if dies:
                    raise Killed
                return result

            return step

        names = ("pull", "push", "measure", "check", "publish")
        return replace(steps, **{name: wrapped(name, getattr(steps, name)) for name in names})

    def measure(self, commit: str, fault: str) -> None:
        if fault == "no build":
            raise Unmeasured(f"asv measured nothing at {commit}")
        if fault == "interrupt":
            raise KeyboardInterrupt
        order = git(self.root, "rev-list", "--reverse", "HEAD").split()
        number = [one[:8] for one in order].index(commit)
        levels = [1e-3 * 1.25 ** (number >= self.slow.get(row, 10**6)) for row in ROWS]
        seconds = np.array(levels) * np.exp(0.005 * self.rng.standard_normal(len(ROWS)))
        measure(self.root, order, number, seconds, machine=self.name)
        session = f"{self.name}-{self.rng.integers(10**9)}"
        path = self.root / "results" / self.name / f"{commit}-shared-py3.11-torch2.13.0.rows.jsonl"
        lines = [self.row(row, value, session) for row, value in zip(ROWS, seconds, strict=True)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def row(self, row: str, value: float, session: str) -> dict:
        rounds = [{"number": number, "seconds": value, "busy": ""} for number in range(1, 6)]
        identity = {"benchmark": BENCHMARK, "params": [row], "session": session}
        return {"format": 2, **identity, "status": "ok", "rounds": rounds}

    def publish(self) -> None:
        self.published = git(self.root, "rev-parse", "HEAD")[:8]
        lines = map(json.loads, (self.root / "results" / self.name / "nightly.jsonl").open())
        self.shown.append(max(lines, key=lambda one: one["night"])["outcome"])


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are not drawn, which takes most of the time of a page."""
    monkeypatch.setattr("reports.site.view.kept.of", lambda work: lambda: "<svg></svg>")


@pytest.fixture
def rehearsal(tmp_path, monkeypatch):
    """A bare repository with a first commit, and two machines that share nothing else."""
    monkeypatch.setattr(transfer, "state", lambda: THREAD.state)
    fetch = transfer.Branch.fetch

    def reached(there, outbox):
        if getattr(THREAD, "offline", False):
            raise GitFailed("ssh: Could not resolve hostname forge.example")
        return fetch(there, outbox)

    monkeypatch.setattr(transfer.Branch, "fetch", reached)
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "author")
    slow = {"'native'": 6, "'torch'": 17}
    machines = [
        Machine(name, tmp_path / name, tmp_path / "origin.git", slow, np.random.default_rng(seed))
        for name, seed in (("one", 1), ("two", 2))
    ]
    yield tmp_path, machines
    subprocess.run(["umount", "-l", str(machines[1].state)], capture_output=True)  # of a test that failed


def commit(folder: Path, number: int, *options: str) -> None:
    author = folder / "author"
    git(author, "commit", "--quiet", "--allow-empty", "-m", f"commit {number}", *options)
    git(author, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")


def both(machines: list[Machine], faults: dict[str, str]) -> None:
    """A night of both machines at the same time."""
    threads = [threading.Thread(target=one.night, args=(faults.get(one.name, ""),)) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.problems for one in machines] == [[], []]


def tip(folder: Path) -> str:
    """The newest commit of the results branch."""
    return git(folder / "origin.git", "rev-parse", "results")


def rewrite(folder: Path, old: str) -> None:
    """Someone pushes an old clone of the results branch over the new one."""
    git(folder / "origin.git", "update-ref", "refs/heads/results", old)


def restore(machines: list[Machine]) -> None:
    """The operator's decision, on each machine."""
    for one in machines:
        THREAD.state = one.state
        transfer.push(one.there(), one.root / "results", "restore")


def fill(machine: Machine) -> bool:
    """Put the machine's state on a disk that is full; whether that is allowed here."""
    held = shutil.copytree(machine.state, machine.folder / "held")
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(machine.state)]
    if subprocess.run(command, capture_output=True).returncode:
        return False
    shutil.copytree(held, machine.state, dirs_exist_ok=True)
    subprocess.run(["sh", "-c", f"cat /dev/zero > {machine.state}/filler 2>/dev/null"])
    return True


def empty(machine: Machine) -> None:
    """A larger disk: what the full one held stays."""
    (machine.state / "filler").unlink()
    kept = shutil.copytree(machine.state, machine.folder / "kept")
    subprocess.run(["umount", str(machine.state)], check=True)
    shutil.copytree(kept, machine.state, dirs_exist_ok=True)


KILLS = [f"kill {when} {step}" for step in STEPS for when in ("before", "after")]
SHORT = {
    **{night: {"one": kill} for night, kill in enumerate(KILLS[1::2], start=2)},
    3: {"one": KILLS[3], "two": "no build"},
    5: {"one": KILLS[7], "two": "wrong"},
    7: {"one": KILLS[11], "two": "interrupt"},
    9: {"one": KILLS[15], "two": "no network"},
}
WHOLE = {night: {"one": kill} for night, kill in enumerate(KILLS, start=3)} | {
    19: {"two": "no network"},
    20: {"two": "no build"},
    21: {"two": "wrong"},
    22: {"two": "interrupt"},
}


@pytest.mark.parametrize(
    ("nights", "faults", "rewritten", "full", "forced"),
    [
        pytest.param(15, SHORT, 10, 12, 13, id="short"),
        pytest.param(30, WHOLE, 24, 26, 27, id="whole", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_lost_doubled_or_reported_twice(rehearsal, undrawn, nights, faults, rewritten, full, forced):
    """Two machines, a night killed at each step, outages, a rewritten branch, a full disk, a force-pushed main.

    Every commit has each row once per machine, each planted regression is reported once per
    machine, the record of the nights has each outage as what it was, the page is of the newest commit, and main holds
    nothing but what its author pushed.
    """
    folder, machines = rehearsal
    disk = False
    tips: list[str] = []  # after each night
    for night in range(nights):
        commit(folder, night, *(["--amend"] if night == forced else []))
        if night == rewritten:
            rewrite(folder, tips[-3])  # both pushed since and know it: at most one of their nights was offline
        if night == full:
            disk = fill(machines[1])
        both(machines, faults.get(night, {}))
        if night == rewritten:
            restore(machines)
        if night == full and disk:
            empty(machines[1])
        tips.append(tip(folder))
    both(machines, {})
    main = git(folder / "author", "rev-parse", "HEAD")
    assert git(folder / "origin.git", "rev-parse", "main") == main
    assert git(folder / "origin.git", "ls-tree", "-r", "main") == ""
    reader = Machine("reader", folder / "reader", folder / "origin.git", {}, np.random.default_rng(0))
    reader.begin()
    THREAD.state = reader.state
    transfer.pull(reader.there(), reader.root / "results")
    require_all_rows(reader.root)
    require_findings(reader.root, nights)
    require_outcomes(reader.root, faults, disk)
    assert [one.published for one in machines] == [main[:8]] * 2
    assert not any("began" in one.shown for one in machines)  # a page says what became of the night that made it
    index = build(gather(reader.root / "results", {}), folder / "site")
    assert "one</strong> last heard from <time" in index.read_text()
    assert main[:8] in (folder / "site" / "nights.html").read_text()
    assert index.with_name("feed.xml").read_text().count("<entry>") == len(reported(reader.root))


def require_all_rows(root: Path) -> None:
    order = [one[:8] for one in git(root, "rev-list", "--reverse", "HEAD").split()]
    lines = Counter(
        (path.parent.name, path.name[:8], json.loads(line)["params"][0])
        for path in (root / "results").rglob("*.rows.jsonl")
        for line in path.open()
    )
    wanted = {(name, one, row) for name in ("one", "two") for one in order for row in ROWS}
    assert {key for key in wanted if lines[key] != 1} == set()
    assert set(lines.values()) == {1}


def reported(root: Path) -> list[tuple[str, str, str]]:
    lines = [one for one in Stored.of(root / "results").nights if "ratio" in one]
    return sorted((one["machine"], one["row"], one["commit"]) for one in lines)


def require_findings(root: Path, nights: int) -> None:
    order = [one[:8] for one in git(root, "rev-list", "--reverse", "HEAD").split()]
    planted = {"'native'": 6, "'torch'": 17}
    known = {row: number for row, number in planted.items() if number < nights - 5}
    wanted = [(name, f"{BENCHMARK}({row})", order[at]) for name in ("one", "two") for row, at in known.items()]
    assert reported(root) == sorted(wanted)


OUTCOMES = {
    "no build": "build-failed",
    "wrong": "check-failed",
    "interrupt": "interrupted",
    "no network": "unreachable",
}


def require_outcomes(root: Path, faults: dict[int, dict[str, str]], disk: bool) -> None:
    health = Stored.of(root / "results").health
    found = Counter(one["outcome"] for one in health if one["machine"] == "two")
    for fault, outcome in OUTCOMES.items():
        assert found[outcome] >= any(one.get("two") == fault for one in faults.values()), outcome
    assert found["undecided"] == 1
    began = [one for one in health if one["outcome"] == "began"]
    killed = sum(one.get("one", "").startswith("kill") for one in faults.values())
    assert 0 < len(began) <= killed
    assert all("ended_at" not in one for one in began)
    assert any("main was rewritten" in event for one in health for event in one.get("events", ()))
    (failed,) = (one for one in health if one["outcome"] == "build-failed")
    assert (failed["expected"], failed["measured"], failed["unscheduled"]) == (3, 0, {"it could not be built": 3})
