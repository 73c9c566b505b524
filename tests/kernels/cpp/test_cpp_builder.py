"""The build: done once, under a lock, cached by its inputs, and with a clear reason if it is impossible."""

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

# Builds a library from the trivial source in the folder argv[1], and prints its path.
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
    """Of two that start together, one builds and reports it; both end with the same complete library."""
    both = [start(sources, tmp_path / "cache") for _ in range(2)]
    outputs = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    lines = [line for _, stderr in outputs for line in stderr.splitlines() if "building" in line]
    assert ["lossimpl build" in line for line in lines] == [True, False]
    assert lines[1] == "lossimpl: building the C++ kernels: done"
    paths = {stdout.strip() for stdout, _ in outputs}
    assert len(paths) == 1
    assert Path(paths.pop()).stat().st_size > 0


@pytest.mark.parametrize("content", [None, b"", b"garbage", "half"])
def test_a_damaged_library_is_built_again(sources: Path, tmp_path: Path, content: bytes | str | None) -> None:
    """Missing, empty, overwritten or cut short: loading it would end the process, or make native unavailable."""
    cache = tmp_path / "cache"
    stdout, _ = start(sources, cache).communicate(timeout=240)
    path = Path(stdout.strip())
    good = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(good[: len(good) // 2] if content == "half" else bytes(content))
    again = start(sources, cache)
    stdout, stderr = again.communicate(timeout=240)
    assert (again.returncode, Path(stdout.strip())) == (0, path), stderr
    assert "building the C++ kernels: done" in stderr
    assert builder.intact(path)
    assert len(path.read_bytes()) == len(good)


def test_the_library_in_use_is_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `available` reports of a library without its digest is what building it would need."""
    path = tmp_path / "lossimpl_cpp.so"
    path.write_bytes(b"not a library")
    monkeypatch.setattr(builder, "library", lambda: path)
    monkeypatch.setattr(builder, "obstacle", lambda: "no compiler")
    assert cpp.available() == "no compiler"
    builder.digest_file(path).write_text(builder.digest(path))
    assert cpp.available() is None


def test_a_lock_left_by_a_killed_build_does_not_hang(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's lock file that was left behind is removed while ours is held."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(builder, "SOURCES", sources)
    stage = builder.library().parent / "stage"
    stage.mkdir(parents=True)
    (stage / "lock").touch()
    assert start(sources, tmp_path / "cache").wait(timeout=240) == 0


def test_broken_sources_make_native_unavailable(sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason contains the compiler's message, and the build is not tried again."""
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
    """A missing compiler is reported before anything is built."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler" in str(builder.obstacle())
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "cache"))
    assert "no-such-compiler" in str(cpp.available())
    with pytest.raises(Unavailable, match="no-such-compiler"):
        builder.build()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert "no C++ compiler" in str(cpp.available())


def test_torchs_tools_use_the_compiler_that_was_found(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """g++, even if `c++`, torch's default, is missing."""
    from torch.utils import cpp_extension

    monkeypatch.setenv("CXX", "")  # so that monkeypatch restores it
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
    """A change of a source or a flag gives another key."""
    monkeypatch.setattr(builder, "SOURCES", sources)
    first = builder.key()
    (sources / "one.cpp").write_text("int lossimpl_test_answer() { return 43; }\n")
    second = builder.key()
    monkeypatch.setattr(builder, "FLAGS", ("-O0",))
    assert len({first, second, builder.key()}) == 3


def test_the_command_prints_the_path_of_the_library() -> None:
    """`lossimpl build` prints the path and exits with 0."""
    import typer

    app = typer.Typer()
    app.command()(build_command)
    cpp.load("mse_loss")
    result = CliRunner().invoke(app, [])
    assert (result.exit_code, Path(result.stdout.strip())) == (0, builder.library())
