"""The manifest: everything about machine and software that a measurement depends on, and nothing personal.

No host name, no user, no path. Two measurements with the same `id` may be compared; with different ids, `differences`
says in which fields their environments differ.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from lossimpl.identity import digest
from lossimpl.measure import caches, threads

Manifest = dict[str, Any]
Difference = tuple[str, Any, Any]  # the path of a field, its value in one manifest, and in another

PACKAGES = (
    "lossimpl",
    "torch",
    "triton",
    "numpy",
    "scipy",
    "asv",
    "asv-runner",
    "torchvision",
    "liger-kernel",
    "quack-kernels",
    "pytorch-metric-learning",
    "scikit-image",
    "scikit-learn",
    "pillow",
)
VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_PROC_BIND",
    "KMP_AFFINITY",
    "GOMP_CPU_AFFINITY",
    "ATEN_CPU_CAPABILITY",
    "MALLOC_ARENA_MAX",
    "MALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "CUDA_LAUNCH_BLOCKING",
    "NVIDIA_TF32_OVERRIDE",
)
INSTRUCTION_SETS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimd", "sve")
CAUSES = (
    *("gpu.model", "cpu.model", "threads", "cpu.cores", "cpu.logical", "cpu.instructions", "torch.cpu_capability"),
    *("torch", "packages.torch", "revision", "packages.triton", "variables", "allocator", "gpu", "cpu", "packages"),
    *("system", "python"),
)  # beginnings of the paths of fields: what changes a time or a bit most often first
INPUT_SEED = 0  # the default of every Case; a row records its own


@cache
def manifest() -> Manifest:
    """The manifest of this process, with an `id` that is a hash of all its other fields.

    >>> "id" in manifest() and "torch" in manifest()["packages"]
    True
    """
    content = {
        "revision": revision(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": packages(),
        "torch": torch_build(),
        "cpu": cpu(),
        "gpu": gpu(),
        "threads": {"measured": threads.wanted(), "usable": threads.usable_cores()},
        "allocator": allocator(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "seed": INPUT_SEED,
    }
    return {"id": digest(content), **content}


def differences(one: Manifest, other: Manifest, prefix: str = "") -> list[Difference]:
    """(field, value in `one`, value in `other`) for every field in which they differ, `id` apart.

    >>> differences({"id": "x", "cpu": {"model": "A"}}, {"id": "y", "cpu": {"model": "B"}})
    [('cpu.model', 'A', 'B')]
    """
    found = []
    for name in sorted({*one, *other} - {"id"}):
        left, right = one.get(name), other.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            found += differences(left, right, f"{prefix}{name}.")
        elif left != right:
            found.append((prefix + name, left, right))
    return found


def by_likelihood(found: Sequence[Difference], row: Mapping[str, Any]) -> list[Difference]:
    """Differences of environment, those that are likeliest to change a time or a bit of a row first.

    >>> changed = [("packages.numpy", "1", "2"), ("revision", "a", "b"), ("cpu.model", "A", "B")]
    >>> [name for name, _, _ in by_likelihood(changed, {"implementation": "native", "device": "cpu"})]
    ['cpu.model', 'revision', 'packages.numpy']
    >>> [name for name, _, _ in by_likelihood(changed, {"implementation": "torch", "device": "cpu"})]
    ['cpu.model', 'packages.numpy', 'revision']
    """
    unlikely = ["gpu"] if row.get("device") == "cpu" else []  # what the row does not use
    unlikely += ["revision"] if str(row.get("implementation")).startswith("torch") else []

    def place(difference: Difference) -> tuple[int, str]:
        name = difference[0]
        if name.split(".")[0] in unlikely:
            return len(CAUSES) + 1, name
        return next((at for at, one in enumerate(CAUSES) if name.startswith(one)), len(CAUSES)), name

    return sorted(found, key=place)


def revision() -> str:
    """The commit under measurement: the one asv installed, else the checkout's (with `+` if changed), else unknown."""
    if os.environ.get("ASV_COMMIT"):
        return os.environ["ASV_COMMIT"]
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return "unknown"
    commit, changes = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain", "--untracked-files=no")
    return (commit or "unknown") + ("+" if changes else "")


def git(root: Path, *arguments: str) -> str:
    """What git answers, or the empty string where it cannot."""
    try:
        return subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def packages() -> dict[str, str]:
    """The versions of the packages that a measurement depends on, where they are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def torch_build() -> dict[str, Any]:
    """What torch was built with, and the switches that change its results or its speed."""
    import torch

    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None  # type: ignore[no-untyped-call]  # torch's own gap
    return {
        "version": torch.__version__,
        "git": torch.version.git_version,
        "debug": torch.version.debug,
        "cuda": torch.version.cuda,
        "cudnn": cudnn,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }


def cpu_fields() -> dict[str, str]:
    """The first processor's fields as Linux lists them; empty elsewhere."""
    try:
        block = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in block.splitlines())}


def processor_name(fields: dict[str, str]) -> str:
    """The processor as Python knows it; Linux names an Arm processor by implementer and part.

    >>> processor_name({"CPU implementer": "0x41", "CPU part": "0xd4f"}).endswith("implementer 0x41 part 0xd4f")
    True
    """
    name = platform.processor() or platform.machine()
    if "CPU part" not in fields:
        return name
    return f"{name} implementer {fields.get('CPU implementer', '?')} part {fields['CPU part']}"


def cpu() -> dict[str, Any]:
    """The processor's model, what it can do, and the memory."""
    fields = cpu_fields()
    flags = fields.get("flags", fields.get("Features", "")).split()
    return {
        "model": fields.get("model name") or processor_name(fields),
        "family": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}/{fields.get('stepping', '?')}",
        "cores": psutil.cpu_count(logical=False),
        "logical": psutil.cpu_count(),
        "caches": caches.sizes(),
        "instructions": [name for name in INSTRUCTION_SETS if name in flags],
        "virtual": "hypervisor" in flags,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def gpu() -> dict[str, Any] | None:
    """The graphics processor's model, driver and limits, or None where torch sees none."""
    import torch

    if not torch.cuda.is_available():
        return None
    properties = torch.cuda.get_device_properties(0)
    found: dict[str, Any] = {
        "model": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gib": round(properties.total_memory / 2**30),
        "l2_bytes": properties.L2_cache_size,
    }
    return found | driver()


def driver() -> dict[str, Any]:
    """The driver's version and the board's settings, as far as NVML reports them."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    except Exception as error:  # NVML may be absent or forbidden while CUDA works
        return {"driver": f"not reported: {type(error).__name__}"}
    asked = {
        "driver": pynvml.nvmlSystemGetDriverVersion,
        "power_limit_watts": lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) // 1000,
        "max_sm_clock_mhz": lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "ecc": lambda: bool(pynvml.nvmlDeviceGetEccMode(handle)[0]),
        "mig": lambda: bool(pynvml.nvmlDeviceGetMigMode(handle)[0]),
    }
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except pynvml.NVMLError:
            found[name] = None
    return found


def allocator() -> dict[str, Any]:
    """Which allocator serves CPU tensors, and whether it gets huge pages."""
    preloaded = [Path(entry).name for entry in os.environ.get("LD_PRELOAD", "").replace(":", " ").split()]
    return {"libc": " ".join(platform.libc_ver()), "preloaded": preloaded, "huge_pages": huge_pages()}


def huge_pages() -> str:
    """The setting of transparent huge pages: `always`, `madvise`, `never`, or `unknown`."""
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return "unknown"
    return text.partition("[")[2].partition("]")[0] or "unknown"
