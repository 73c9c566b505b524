"""What all tests need of their process."""

from __future__ import annotations

import os
import signal
import tempfile

collect_ignore_glob = ["*conftest.py"]  # they hold no examples, and as modules they would share one name


def pytest_configure() -> None:
    """Ctrl-C and Ctrl-\\ are heard again where a shell in the background has switched them off, for children too.

    What `compare` keeps goes to a folder of this run.
    """
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="lossimpl-state-")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
