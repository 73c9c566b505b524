"""asv's environment: one torch for all commits, one wheel per commit, no path in its name."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from asv.config import Config

ROOT = Path(__file__).parents[2]
plugin = importlib.import_module("asv_plugins.shared_environment")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An environment, created once: a second or two."""
    conf = Config.load(str(ROOT / "asv.conf.json"))
    conf.env_dir = str(tmp_path_factory.mktemp("env"))
    environment = plugin.Shared(conf, plugin.running(), {}, {})
    environment.create()
    return environment


def said(environment, code):
    return environment.run(["-P", "-c", code]).strip()


def test_the_name_has_python_and_torch_and_no_path(made):
    """It distinguishes the result files of one commit on one machine."""
    assert made.name == f"shared-py{sys.version_info[0]}.{sys.version_info[1]}-torch{torch.__version__}"
    assert made.name == plugin.environment_name()
    assert not set(made.name) & set("/\\ ")


def test_torch_is_the_one_that_is_installed(made):
    """The same file, not a copy."""
    assert said(made, "import torch; print(torch.__file__)") == torch.__file__


def test_the_checkout_is_not_what_is_measured(made):
    """An editable installation of lossimpl is not visible; only a commit's wheel can be imported."""
    code = "import importlib.util as u; s = u.find_spec('lossimpl'); print(s.origin if s else 'absent')"
    assert str(ROOT / "lossimpl") not in said(made, code)


def test_versions_are_recorded(made):
    """asv writes them into each result file; its environment type `existing` does not."""
    assert made.requirements["torch"] == torch.__version__
    assert "numpy" in made.requirements


def test_programs_beside_the_interpreter_are_found(made):
    """Building the native kernels needs ninja, which pip installs beside Python."""
    assert said(made, "import shutil; print(shutil.which('python'))").startswith(made._path)
    if (Path(sys.executable).parent / "ninja").exists():
        assert said(made, "import shutil; print(shutil.which('ninja'))") != "None"


def test_it_is_made_once(made):
    """A second run of asv uses it; after another torch was installed, it is made again."""
    assert made.check_presence()
    made._requirements, before = {**made._requirements, "torch": "0.0"}, made._requirements
    assert not made.check_presence()
    made._requirements = before


def test_another_python_is_refused():
    """The shared packages belong to the running version."""
    conf = Config.load(str(ROOT / "asv.conf.json"))
    with pytest.raises(plugin.environment.EnvironmentUnavailable, match=r"not 2\.7"):
        plugin.Shared(conf, "2.7", {}, {})


def asv(folder, *arguments):
    return subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository of two commits that hold this working tree."""
    folder = tmp_path_factory.mktemp("clone")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("lossimpl", "benchmarks", "asv_plugins", "reports"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("asv.conf.json", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "README.md").touch()
    for commit in ("one", "two"):
        (folder / "README.md").write_text(commit)
        for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", commit]):
            who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *who, *command], cwd=folder, check=True)
    return folder


@pytest.mark.slow
def test_asv_works_on_the_repository(clone, tmp_path, monkeypatch):
    """check, run, compare, continuous and publish, in asv's own words and exit codes, on one row."""
    monkeypatch.setenv("HOME", str(tmp_path))  # asv keeps its list of machines there
    monkeypatch.setenv("LOSSIMPL_SECONDS", "0.05")
    (tmp_path / ".asv-machine.json").write_text(json.dumps({"version": 1, "m": {"machine": "m", "cpu": "x"}}))
    row = r"^mse_loss\.MseLoss\.track_seconds\('(torch|vectorized)', '32x10', 'float32', 'cpu', 'step'\)$"
    commands = {
        "check": ["check"],
        "run": ["run", "--machine", "m", "--record-samples", "-b", row, "HEAD~1..HEAD"],
        "continuous": ["continuous", "--machine", "m", "--factor", "1000", "-b", row, "HEAD~1", "HEAD"],
        "compare": ["compare", "--machine", "m", "HEAD~1", "HEAD"],
        "publish": ["publish"],
    }
    for name, arguments in commands.items():
        done = asv(clone, *arguments)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    files = list((clone / "results" / "m").glob("*.json"))
    measured = [file for file in files if file.name != "machine.json"]
    assert len(measured) == 2
    assert all(str(clone) not in file.read_text() and str(ROOT) not in file.read_text() for file in files)
    assert (clone / ".asv" / "html" / "index.html").exists()
