"""What counts as a change of code: functions that differ, by name; never comments, documentation or layout."""

import shutil
import subprocess
import sys

import pytest
from toy import Toy

from lossimpl.building import Unmeasurable
from reports.gate import compiler, diff, kernels
from reports.gate.diff import Changed
from reports.gate.worker.executed import executed

BEFORE = '''
"""A module."""

SIZE = 4


class Box:
    def area(self):
        return SIZE


def volume(side=2):
    """The volume."""
    return side**3
'''


@pytest.mark.parametrize(
    ("old", "new", "functions", "more"),
    [
        ("side**3", "side * side * side", {"volume"}, False),
        ("side=2", "side=3", {"volume"}, False),
        ("return SIZE", "return SIZE + 1", {"Box.area"}, False),
        ("SIZE = 4", "SIZE = 5", set(), True),
        ("def volume(", "def added():\n    pass\n\n\ndef volume(", {"added"}, False),
        ("    def area(self):\n        return SIZE", "    pass", {"Box.area"}, True),
    ],
)
def test_a_change_is_named_by_its_function(old, new, functions, more):
    """Bodies and signatures are changes of a function; what is outside of functions is `more`."""
    found = diff.changed("a.py", BEFORE, BEFORE.replace(old, new))
    assert (found.functions, found.more) == (functions, more)


@pytest.mark.parametrize(
    ("old", "new"), [("A module.", "Words."), ("The volume.", "V."), ("SIZE = 4", "SIZE = (\n    4  # four\n)")]
)
def test_comments_docstrings_and_layout_are_no_change(old, new):
    """The syntax tree without docstrings is the same."""
    assert diff.changed("a.py", BEFORE, BEFORE.replace(old, new)) is None


@pytest.mark.parametrize(
    ("new", "differs"),
    [
        ('int a = 1;  // more\n\nconst char* b = "//";', False),
        ('int a = 2; const char* b = "//";', True),
        ('int a = 1; const char* b = "/";', True),
    ],
)
def test_cpp_is_compared_without_comments(new, differs):
    """A string that looks like a comment is code."""
    assert (diff.changed("a.cpp", 'int a = 1; const char* b = "//";', new) is not None) is differs


def test_the_hunk_of_an_executed_function_is_the_likely_cause(tmp_path):
    """Two functions of a file change; a row that executes one of them gets that function's hunk."""
    toy = Toy(tmp_path)
    toy.write("toy/two.py", "def one():\n    return 1\n\n\ndef two():\n    return 2\n")
    base = toy.commit("Two functions")
    toy.write("toy/two.py", "def one():\n    return 10\n\n\ndef two():\n    return 20\n")
    changed = diff.changes(tmp_path, base, toy.commit("Change both"), ["toy"])
    (hunk,) = diff.likely(changed, [("toy/two.py", "two")])
    assert "+    return 20" in hunk.text


def test_a_file_that_cannot_be_parsed_is_named_with_its_line(tmp_path):
    """Before anything is built."""
    toy = Toy(tmp_path)
    toy.write("toy/broken.py", "def f(:\n    pass\n")
    with pytest.raises(Unmeasurable, match=r"toy/broken.py, line 1: SyntaxError"):
        diff.changes(tmp_path, toy.base, toy.commit("Break"), ["toy"])


def test_only_functions_below_the_roots_are_executed(tmp_path, monkeypatch):
    """File and qualified name; the standard library is left out."""
    (tmp_path / "mine.py").write_text("import json\n\n\ndef call():\n    return json.dumps(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    assert executed(mine.call, [str(tmp_path)]) == ("1", [["mine.py", "call"]])


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_equal_sources_are_compiled_once_whatever_their_folder(tmp_path):
    """The second folder gets the first one's object, path included; a changed header is compiled again."""
    objects = []
    for name in ("base", "head", "more"):
        (tmp_path / name).mkdir()
        value = 2 if name == "more" else 1
        (tmp_path / name / "a.h").write_text(f"inline int one() {{ return {value}; }}\n")
        (tmp_path / name / "a.cpp").write_text('#include "a.h"\nconst char* f() { return one() ? __FILE__ : ""; }\n')
        out = tmp_path / name / "a.o"
        arguments = ["-c", str(tmp_path / name / "a.cpp"), "-o", str(out)]
        assert compiler.main("g++", tmp_path / "cache", arguments) == 0
        objects.append(out.read_bytes())
    assert objects[0] == objects[1]
    assert len(list((tmp_path / "cache").glob("*.o"))) == 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_the_first_error_of_the_compiler_is_found_before_the_build(tmp_path):
    """A header that does not compile: the source that includes it, and the message; other sources are not compiled."""
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "broken.h").write_text("int broken = ;\n")
    (tmp_path / "csrc" / "a.cpp").write_text('#include "broken.h"\n')
    (tmp_path / "csrc" / "b.cpp").write_text("also broken\n")
    error = kernels.first_error(tmp_path, ["csrc/broken.h"])
    assert error is not None
    assert error.startswith("a.cpp: ")
    assert "broken.h:1" in error
    assert kernels.first_error(tmp_path, ["csrc/unused.h"]) is None


def test_a_compiler_of_the_gate_runs_as_a_program(tmp_path):
    """Anything but a compilation goes to the compiler as it is."""
    found = kernels.variables(tmp_path)
    done = subprocess.run([found["CXX"], "--version"], capture_output=True, text=True)
    expected = subprocess.run(["g++", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, expected.stdout)
    assert sys.executable in (tmp_path / "bin" / "g++").read_text()


def test_a_file_that_is_no_code_is_compared_as_text():
    """Data files of the package and build files."""
    assert diff.changed("pyproject.toml", "a = 1", "a = 1") is None
    assert diff.changed("pyproject.toml", "a = 1", "a = 2") == Changed("pyproject.toml")
