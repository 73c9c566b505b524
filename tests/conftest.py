"""What all tests need of their process."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Ctrl-C is heard again where a shell in the background has switched it off, which children would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
