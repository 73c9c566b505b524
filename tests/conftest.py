"""What all tests need of their process."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Ctrl-C and Ctrl-\\ are heard again where a shell in the background has switched them off, for children too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
