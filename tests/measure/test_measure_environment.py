"""The manifest: the same in every process of one environment, and nothing personal in it."""

import getpass
import json
import os
import socket
import subprocess
import sys

from lossimpl import environment


def test_the_identity_is_that_of_another_process():
    """What is not in the environment (time, load, process id) is not in the manifest."""
    command = [sys.executable, "-c", "from lossimpl import environment; print(environment.manifest()['id'])"]
    other = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.getcwd()).stdout.strip()
    assert other == environment.manifest.__wrapped__()["id"]


def test_no_name_of_host_or_user_and_no_path():
    """The text of the manifest, searched for this machine's and this user's."""
    text = json.dumps(environment.manifest())
    names = [socket.gethostname(), os.path.expanduser("~"), os.getcwd(), sys.prefix, "/home/", "/usr/", "/tmp"]
    user = getpass.getuser()
    assert [name for name in names if len(name) > 3 and name in text] == []
    assert f'"{user}"' not in text


def test_an_arm_processor_is_told_from_another(monkeypatch):
    """The fields of a Neoverse V2 and of an N1 as Linux lists them (arch/arm64/kernel/cpuinfo.c): no model name."""
    found = []
    for part in ("0xd4f", "0xd0c"):
        fields = {"Features": "fp asimd sve", "CPU implementer": "0x41", "CPU variant": "0x0", "CPU part": part}
        monkeypatch.setattr(environment, "cpu_fields", lambda fields=fields: fields)
        found.append(environment.cpu())
    assert all("implementer 0x41" in one["model"] for one in found)
    assert found[0]["model"] != found[1]["model"]
    assert found[0]["instructions"] == ["asimd", "sve"]


def test_preloaded_libraries_are_named_without_their_path(monkeypatch):
    """An allocator that is preloaded changes speed, where it lies does not."""
    monkeypatch.setenv("LD_PRELOAD", "/opt/private/libjemalloc.so.2:/x/libtcmalloc.so")
    assert environment.allocator()["preloaded"] == ["libjemalloc.so.2", "libtcmalloc.so"]


def test_what_a_measurement_depends_on_changes_the_identity(monkeypatch):
    """Another thread count, variable or commit is another environment."""
    known = {environment.manifest.__wrapped__()["id"]}
    for name, value in (("LOSSIMPL_THREADS", "7"), ("MALLOC_ARENA_MAX", "1"), ("ASV_COMMIT", "0" * 40)):
        monkeypatch.setenv(name, value)
        known.add(environment.manifest.__wrapped__()["id"])
    assert len(known) == 4


def test_differences_name_the_fields():
    """Nested fields by their path, whatever is only on one side too, the identity never."""
    one = {"id": "a", "cpu": {"model": "A", "cores": 2}, "gpu": None}
    other = {"id": "b", "cpu": {"model": "A", "cores": 4}, "gpu": {"model": "H"}}
    assert environment.differences(one, other) == [("cpu.cores", 2, 4), ("gpu", None, {"model": "H"})]
