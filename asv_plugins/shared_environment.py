"""An asv environment that shares the running interpreter's packages, and has only the project to itself.

asv's own environments install every requirement again, torch too, and again for each commit. This one is an overlay on
the running interpreter (`lossimpl.overlay`): torch is installed once, the project's wheel per commit.

Its name is `shared-py<python>-torch<version>`, without a path, so that results of two machines differ only by what was
installed.
"""

import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from asv import environment
from asv.console import log

from lossimpl import overlay

RECORDED = ("torch", "triton", "numpy", "torchvision", "liger-kernel", "quack-kernels", "pytorch-metric-learning")


def installed() -> dict[str, str]:
    """The versions of the packages whose code the benchmarks run, where they are installed."""
    found = {}
    for name in RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class Shared(environment.Environment):
    """An overlay on the running interpreter's packages."""

    tool_name = "shared"
    matches_python_fallback = False

    def __init__(self, conf, python, requirements, tagged_env_vars):
        if not self.matches(python):
            raise environment.EnvironmentUnavailable(
                f"python: the shared environment has the running interpreter's {running()}, not {python}"
            )
        self._requirements = {**requirements, **installed()}  # the constructor needs the name, which needs these
        super().__init__(conf, python, self._requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python):
        """Whether `python` is the version that runs now."""
        return python == running()

    @property
    def name(self):
        """Python, torch and what the matrix adds; other packages are recorded but do not change the name."""
        return environment_name(self._tagged_env_vars)

    @property
    def dir_name(self):
        """The name, instead of asv's hash of it."""
        return self.name

    def check_presence(self):
        """Whether the environment exists and was made for the packages that are installed now."""
        try:
            made_for = self.load_info_file(self._path)["requirements"]
            self.run_executable("python", ["-c", "import asv_runner, pip"])
        except Exception:  # absent, incomplete or unreadable: it is made again in a second
            return False
        return made_for == self._requirements

    def _setup(self):
        log.info(f"Creating {self.name}")
        overlay.make(Path(self._path))

    def run_executable(self, executable, args, **kwargs):
        """Run a program of the environment; those beside the running interpreter are on the path after its own."""
        env = dict(kwargs.pop("env", None) or os.environ)
        env["PATH"] = overlay.search_path(env)
        return super().run_executable(executable, args, env=env, **kwargs)

    def run(self, args, **kwargs):
        """Run the environment's Python."""
        log.debug(f"Running '{' '.join(args)}' in {self.name}")
        return self.run_executable("python", args, **kwargs)


def environment_name(tagged_env_vars=None) -> str:
    """The name of the environment that asv would use now."""
    torch = {"torch": installed().get("torch", "none")}
    return environment.get_env_name(Shared.tool_name, running(), torch, tagged_env_vars or {})


def running() -> str:
    """The version of the running interpreter as asv writes it: `3.11`."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
