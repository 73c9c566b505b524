"""The build: once, under a lock, cached by what it depends on, and a clear reason where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lossimpl.commands.build import build as build_command
from lossimpl.kernels import cpp
from lossimpl.kernels.cpp import builder
from lossimpl.spec import Unavailable

# Builds a library of one trivial source in the folder that argv names, and prints where it lies.
PROGRAM = """
import sys
from pathlib import Path
from lossimpl.kernels.cpp import builder
builder.SOURCES = Path(sys.argv[1])
print(builder.build())
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with one source that compiles in a second."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "one.cpp").write_text("int lossimpl_test_answer() { return 42; }\n")
    return folder


def start(sources: Path, cache: Path) -> subprocess.Popen[str]:
    """A process that builds."""
    environment = os.environ | {"TORCH_EXTENSIONS_DIR": str(cache)}
    command = [sys.executable, "-c", PROGRAM, str(sources)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_build_once(sources: Path, tmp_path: Path) -> None:
    """Of two that start together one builds and says so in one line; both end with the same whole library."""
    both = [start(sources, tmp_path / "cache") for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    lines = [line for _, stderr in outputs for line in stderr.splitlines() if "building" in line]
    assert [("done" in line) for line in lines] == [True]
    paths = {stdout.strip() for stdout, _ in outputs}
    assert len(paths) == 1
    assert Path(paths.pop()).stat().st_size > 0


def test_a_lock_left_by_a_killed_build_does_not_hang(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's own lock file, left behind, is removed under ours."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "SOURCES", sources)
    stage = builder.library().parent / "stage"
    stage.mkdir(parents=True)
    (stage / "lock").touch()
    assert start(sources, tmp_path / "cache").wait(timeout=240) == 0


def test_broken_sources_are_an_answer(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that fails makes native unavailable, with the compiler's words, and is not tried again."""
    (sources / "one.cpp").write_text("this is not C++\n")
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "SOURCES", sources)
    with pytest.raises(Unavailable, match="could not build"):
        builder.build()
    monkeypatch.setattr(builder, "compile_to", None)
    with pytest.raises(Unavailable, match="the build failed"):
        builder.build()
    assert "the build failed" in str(cpp.available())


def test_without_a_compiler(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler is a reason, given before anything is tried; a library that is there needs none."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in str(builder.obstacle())
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    assert "no-such-compiler" in str(cpp.available())
    with pytest.raises(Unavailable, match="no-such-compiler"):
        builder.build()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert "no C++ compiler" in str(cpp.available())


def test_torchs_tools_call_the_compiler_that_was_looked_for(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """g++, as the machine has it, also where `c++`, torch's own choice, is not there."""
    from torch.utils import cpp_extension

    monkeypatch.setenv("CXX", "")  # so that it is put back as it was
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    called: list[str] = []

    def load(name: str, build_directory: str, **rest: object) -> None:
        called.append(cpp_extension.get_cxx_compiler())
        (Path(build_directory) / f"{name}.so").touch()

    monkeypatch.setattr(cpp_extension, "load", load)
    (tmp_path / "cache").mkdir()
    builder.run_torch_build(tmp_path / "cache" / "lossimpl_cpp.so")
    assert called == [builder.compiler()]


def test_the_key_follows_sources_and_flags(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another source text or flag is another library."""
    monkeypatch.setattr(builder, "SOURCES", sources)
    first = builder.key()
    (sources / "one.cpp").write_text("int lossimpl_test_answer() { return 43; }\n")
    second = builder.key()
    monkeypatch.setattr(builder, "FLAGS", ("-O0",))
    assert len({first, second, builder.key()}) == 3


def test_the_command_says_where_the_library_lies() -> None:
    """`lossimpl build` prints the path, and exits with 1 and the reason where it cannot build."""
    import typer

    app = typer.Typer()
    app.command()(build_command)
    cpp.load("mse_loss")
    result = CliRunner().invoke(app, [])
    assert (result.exit_code, Path(result.stdout.strip())) == (0, builder.library())
