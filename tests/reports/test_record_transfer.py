"""Results travel between machines over a git branch or a folder: nothing is lost, nothing twice, whatever fails."""

import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reports.record import outbox, transfer
from reports.record.command import record
from reports.record.git import GitFailed
from reports.record.git import git as run_git

ROW = {"benchmark": "mse_loss.MseLoss.track_seconds", "params": ["'native'"]}


class Machine:
    """A checkout and a state folder of its own; `name` is its folder under results/."""

    def __init__(self, folder: Path, name: str, setting: str) -> None:
        self.folder, self.name, self.setting = folder, name, setting
        self.results = folder / "results"

    def measure(self, commit: str, *sessions: str) -> None:
        path = self.results / self.name / f"{commit}-py3.rows.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(json.dumps({**ROW, "session": session}) + "\n" for session in sessions)

    def clean(self) -> None:
        """What the checkout action does before each job."""
        shutil.rmtree(self.results, ignore_errors=True)

    def _with_state(self, work, decision=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(self.folder / "state"))
            return work(transfer.remote(self.setting, self.folder), self.results, decision)

    def pull(self, decision=None) -> int:
        return self._with_state(transfer.pull, decision)

    def push(self, decision=None) -> int:
        return self._with_state(transfer.push, decision)

    def sessions(self) -> list[str]:
        """Every session under results/, one per row."""
        return sorted(
            json.loads(line)["session"] for path in self.results.rglob("*.rows.jsonl") for line in path.open()
        )


def git(folder: Path, *arguments: str, given: str | None = None) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments]
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path / "remote.git"


@pytest.fixture(params=["branch", "folder"])
def setting(request, tmp_path: Path, remote: Path) -> str:
    (tmp_path / "shared").mkdir()
    return f"{remote}#results" if request.param == "branch" else str(tmp_path / "shared")


@pytest.fixture
def two(tmp_path: Path, setting: str) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "one", "one", setting), Machine(tmp_path / "two", "two", setting)


@pytest.fixture
def branch_machine(tmp_path: Path, remote: Path) -> Machine:
    return Machine(tmp_path / "one", "one", f"{remote}#results")


def test_what_one_machine_pushes_another_pulls(two):
    """Both have all rows in the end, and a push without news sends nothing."""
    one, other = two
    one.measure("aaaaaaaa", "s1", "s2")
    other.measure("aaaaaaaa", "s3")
    one.push()
    other.push()
    one.clean()
    one.pull()
    other.pull()
    assert one.sessions() == other.sessions() == ["s1", "s2", "s3"]
    assert one.push() == other.push() == 0


def test_two_machines_of_a_pool_write_the_same_file(two):
    """Sessions of both are kept, each row once, and later sessions of either are added."""
    one, other = two
    other.name = one.name
    for number in range(3):
        one.measure("aaaaaaaa", f"a{number}")
        other.measure("aaaaaaaa", f"b{number}")
        one.push()
        other.push()
    one.clean()
    one.pull()
    assert one.sessions() == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_races_lose_nothing(tmp_path, setting, monkeypatch):
    """Four machines push at the same time, three times each."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # one user on four machines: the lock is shared too
    machines = [Machine(tmp_path / f"m{index}", f"m{index}", setting) for index in range(4)]
    failures: list[BaseException] = []

    def nights(machine: Machine, boxes: Path) -> None:
        there = transfer.remote(machine.setting, tmp_path)
        box = outbox.Outbox(boxes)
        try:
            for night in range(3):
                machine.measure(f"aaaaaaa{night}", f"{machine.name}-{night}")
                with box.locked():
                    transfer._pushed(there, box, machine.results, None)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=nights, args=(one, tmp_path / f"box-{one.name}")) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    machines[0].clean()
    machines[0].pull()
    assert machines[0].sessions() == sorted(f"m{index}-{night}" for index in range(4) for night in range(3))


def test_an_interrupted_session_gives_way_to_its_continuation(branch_machine, tmp_path):
    """The version of a row with more rounds stays, whichever arrives last."""
    path = branch_machine.results / "one" / "aaaaaaaa-py3.rows.jsonl"
    path.parent.mkdir(parents=True)
    row = {**ROW, "session": "s"}
    first, whole = ({**row, "rounds": [{"number": number} for number in range(count)]} for count in (2, 5))
    for version in (first, whole, first):
        path.write_text(json.dumps(version) + "\n")
        branch_machine.push()
    branch_machine.clean()
    branch_machine.pull()
    assert [json.loads(line) for line in path.open()] == [whole]


def test_what_a_failed_push_could_not_send_goes_with_the_next(branch_machine, remote):
    """The remote is away for two nights, and the checkout is cleaned after each."""
    away = remote.rename(remote.with_name("away"))
    for night in range(2):
        branch_machine.measure(f"aaaaaaa{night}", f"s{night}")
        with pytest.raises(transfer.Unsent, match="does not appear to be a git repository; the rows stay here"):
            branch_machine.push()
        branch_machine.clean()
    away.rename(remote)
    branch_machine.push()
    branch_machine.pull()
    assert branch_machine.sessions() == ["s0", "s1"]


def test_a_killed_push_is_completed_by_the_next(tmp_path, remote, monkeypatch):
    """Killed before every other of git's commands, while another machine has pushed: every row is there once."""
    one, other = (Machine(tmp_path / name, name, f"{remote}#results") for name in ("one", "two"))
    real, calls = outbox.git, [0]

    def killed(*arguments, **options):
        calls[0] -= 1
        if calls[0] == 0:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    for module in (outbox, transfer):
        monkeypatch.setattr(module, "git", killed)
    night = 0
    while calls[0] <= 0:
        night += 1
        calls[0] = 0
        other.measure(f"b{night:07d}", f"other{night}")
        other.push()
        one.measure(f"a{night:07d}", f"one{night}")
        calls[0] = 2 * night
        try:
            one.push()
        except KeyboardInterrupt:
            calls[0] = 0
            one.push()
    calls[0] = 0
    assert night > 8  # a push has more than 15 commands
    other.clean()
    other.pull()
    assert other.sessions() == sorted(f"{name}{number}" for name in ("one", "other") for number in range(1, night + 1))


def rewritten(remote: Path) -> None:
    """Someone replaces the branch by its first commit with another file."""
    tree = git(remote, "rev-parse", "results~1^{tree}")
    git(remote, "update-ref", "refs/heads/results", git(remote, "commit-tree", tree, "-m", "rewritten"))


@pytest.mark.parametrize(("decision", "held"), [("restore", ["s0", "s1", "s2"]), ("accept", ["s0", "s2"])])
def test_a_rewritten_branch_waits_for_a_decision(branch_machine, remote, decision, held):
    """The push stops with one line and keeps its rows; `restore` brings back what was lost, `accept` does not."""
    for night in range(2):
        branch_machine.measure(f"aaaaaaa{night}", f"s{night}")
        branch_machine.push()
    rewritten(remote)
    branch_machine.clean()
    branch_machine.measure("aaaaaaa2", "s2")
    for _ in range(2):
        with pytest.raises(transfer.Undecided, match="was rewritten, and lacks commit"):
            branch_machine.push()
    branch_machine.clean()
    branch_machine.push(decision)
    branch_machine.pull()
    assert branch_machine.sessions() == held


def test_a_removed_branch_waits_for_a_decision(branch_machine, remote):
    """So does one that is gone altogether, and `restore` makes it again."""
    branch_machine.measure("aaaaaaaa", "s")
    branch_machine.push()
    git(remote, "update-ref", "-d", "refs/heads/results")
    with pytest.raises(transfer.Undecided):
        branch_machine.pull()
    branch_machine.push("restore")
    assert "one/aaaaaaaa-py3.rows.jsonl" in git(remote, "ls-tree", "-r", "--name-only", "results")


def test_a_newer_version_is_left_alone(branch_machine, remote):
    """A branch of a later version is not written to, and the rows are kept."""
    branch_machine.measure("aaaaaaaa", "s")
    branch_machine.push()
    before = git(remote, "rev-parse", "results")
    newest = git(remote, "hash-object", "-w", "--stdin", given="2\n")
    tree = git(remote, "ls-tree", "results").replace(git(remote, "rev-parse", "results:FORMAT"), newest)
    newer = git(remote, "commit-tree", git(remote, "mktree", given=tree + "\n"), "-p", before, "-m", "newer")
    git(remote, "update-ref", "refs/heads/results", newer)
    branch_machine.measure("bbbbbbbb", "t")
    with pytest.raises(transfer.Undecided, match="holds results of version 2, this checkout reads 1; update it"):
        branch_machine.push()
    assert git(remote, "rev-parse", "results") == newer
    assert branch_machine.sessions() == ["s", "t"]


def test_a_remote_that_refuses_is_named(branch_machine, remote):
    """A protected branch: the line of the server is the reason, and a later push succeeds."""
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'permission denied for results' >&2\nexit 1\n")
    hook.chmod(0o755)
    branch_machine.measure("aaaaaaaa", "s")
    with pytest.raises(transfer.Unsent, match="permission denied for results; the rows stay here"):
        branch_machine.push()
    hook.unlink()
    branch_machine.push()
    assert git(remote, "log", "--format=%s", "results") == "Results of one at aaaaaaaa"


def test_a_full_disk_keeps_the_rows_here(branch_machine, tmp_path):
    """The state folder is on a full disk: one line, and the next push, with space again, sends everything."""
    state = branch_machine.folder / "state"
    state.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(state)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        branch_machine.measure("aaaaaaaa", *(f"{number:05d}" for number in range(4000)))
        (state / "filler").write_bytes(b"x" * 100_000)
        with pytest.raises(transfer.Unsent, match="No space left on device"):
            branch_machine.push()
        (state / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=20m", str(state)], check=True)
        branch_machine.push()
        branch_machine.clean()
        branch_machine.pull()
        assert len(branch_machine.sessions()) == 4000
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def test_nothing_but_results_leaves_a_branch(branch_machine, remote, tmp_path):
    """Symbolic links and files of other names on the branch reach no checkout."""
    content = git(remote, "hash-object", "-w", "--stdin", given="/etc/passwd")
    entries = [("120000", "link.json"), ("100755", "program.sh"), ("100644", "changes.jsonl")]
    inner = "".join(f"{mode} blob {content}\t{name}\n" for mode, name in entries)
    folder = git(remote, "mktree", given=inner)
    outer = f"040000 tree {folder}\tone\n040000 tree {folder}\t.git-hooks\n100644 blob {content}\tx.py\n"
    commit = git(remote, "commit-tree", git(remote, "mktree", given=outer), "-m", "hostile")
    git(remote, "update-ref", "refs/heads/results", commit)
    branch_machine.pull()
    found = [path.relative_to(branch_machine.results).as_posix() for path in branch_machine.results.rglob("*")]
    assert sorted(found) == ["one", "one/changes.jsonl"]


def test_a_folder_that_is_not_mounted_is_not_empty(tmp_path):
    """An empty mount point is no removal of all results."""
    machine = Machine(tmp_path / "one", "one", str(tmp_path / "shared"))
    machine.measure("aaaaaaaa", "s")
    with pytest.raises(transfer.Unsent, match="is no folder; make it, or mount what it is on"):
        machine.push()
    (tmp_path / "shared").mkdir()
    machine.push()
    (tmp_path / "shared").rename(tmp_path / "elsewhere")
    (tmp_path / "shared").mkdir()
    with pytest.raises(transfer.Unsent, match="held results before; mount what it is on"):
        machine.pull()
    assert machine.sessions() == ["s"]


@pytest.mark.parametrize(
    ("setting", "code", "line"),
    [
        ("", 2, "expected REMOTE#BRANCH"),
        ("origin#-x", 2, "expected REMOTE#BRANCH"),
        ("nowhere#results", 2, "No such remote"),
        ("/nothing/here.git#results", 1, "does not appear to be a git repository"),
        ("https://127.0.0.1:9/x.git#results", 1, "unable to access 'https://127.0.0.1:9/x.git/'"),
        ("ssh://127.0.0.1:9/x.git#results", 1, "ssh: connect to host 127.0.0.1 port 9: Connection refused"),
    ],
)
def test_exit_codes(setting, code, line, tmp_path, monkeypatch):
    """2 for a wrong setting, 1 for a remote that cannot be reached, each with its reason."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TERMINAL_WIDTH", "200")
    done = CliRunner().invoke(record, ["push", "--remote", setting, "--results", str(tmp_path / "results")])
    assert done.exit_code == code
    assert line in done.output


def test_the_message_of_git_is_its_cause():
    """Of several lines, the one that caused the others; hints are no reason."""
    output = (
        "ssh: Could not resolve hostname x\nfatal: Could not read from remote repository.\n\nhint: Please make sure"
    )
    assert str(GitFailed(output)) == "ssh: Could not resolve hostname x"


def test_the_token_of_a_job_is_for_its_own_server_only(tmp_path, monkeypatch):
    """git gets it from the environment, so it is neither on a command line nor in a file."""
    for name, value in (("GITHUB_TOKEN", "t0ken"), ("GITHUB_SERVER_URL", "https://forge.example")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    given = "protocol=https\nhost={}\n\n"
    answer = run_git(tmp_path, "credential", "fill", given=given.format("forge.example").encode())
    assert b"username=x-access-token\npassword=t0ken\n" in answer
    with pytest.raises(GitFailed):
        run_git(tmp_path, "credential", "fill", given=given.format("elsewhere.example").encode())
