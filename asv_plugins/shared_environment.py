"""An asv environment that shares the running interpreter's packages, and has only the project to itself.

asv's own environments install every requirement anew, torch too, and again whenever a commit is switched. This one is
an empty virtual environment whose one `.pth` file points at the site-packages of the interpreter that runs asv: torch
is installed once, the project's wheel per commit. Being first on the path, the wheel wins over an installed lossimpl,
and since a `.pth` file found through another is not read, an editable installation of the checkout stays out.

Its name is `shared-py<python>-torch<version>`, without a path, so that results of two machines can be told apart by
what was installed and by nothing else.
"""

import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from asv import environment
from asv.console import log

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
    """An empty virtual environment that looks through to the running interpreter's site-packages."""

    tool_name = "shared"
    matches_python_fallback = False

    def __init__(self, conf, python, requirements, tagged_env_vars):
        if not self.matches(python):
            raise environment.EnvironmentUnavailable(
                f"python: the shared environment has the running interpreter's {running()}, not {python}"
            )
        self._requirements = {**requirements, **installed()}  # the name, which the constructor asks for, needs it
        super().__init__(conf, python, self._requirements, tagged_env_vars)

    @classmethod
    def matches(cls, python):
        """Whether `python` is the version that runs now."""
        return python == running()

    @property
    def name(self):
        """Python and torch, and what the matrix adds; other packages are recorded but make no other environment."""
        return environment_name(self._tagged_env_vars)

    @property
    def dir_name(self):
        """The name: it is short, and a folder that says what it holds is easier to look into."""
        return self.name

    def check_presence(self):
        """Whether the environment is there, and was made for the packages that are installed now."""
        try:
            made_for = self.load_info_file(self._path)["requirements"]
            self.run_executable("python", ["-c", "import asv_runner, pip"])
        except Exception:  # absent, half-made or unreadable: it is made anew in a second
            return False
        return made_for == self._requirements

    def _setup(self):
        log.info(f"Creating {self.name}")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._path], check=True)
        own = sysconfig.get_path("purelib", "venv", {"base": self._path, "platbase": self._path})
        shared = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        Path(own, "shared.pth").write_text("\n".join(shared) + "\n")

    def run_executable(self, executable, args, **kwargs):
        """Run a program of the environment; programs beside the running interpreter (ninja) are found after its own."""
        env = dict(kwargs.pop("env", None) or environment.os.environ)
        env["PATH"] = f"{Path(sys.executable).parent}{environment.os.pathsep}{env.get('PATH', '')}"
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
