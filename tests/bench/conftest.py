"""What disturbed the inner loop is printed below its table."""

import pytest

from lossimpl.measure.busy import Watch

DISTURBED = pytest.StashKey[list[str]]()


@pytest.fixture
def undisturbed(request):
    """Notes what other processes took of the processor while the test ran."""
    watch = Watch()
    yield
    reason = watch.verdict()
    if reason:
        request.config.stash.setdefault(DISTURBED, []).append(f"{request.node.name}: {reason}")


def pytest_terminal_summary(terminalreporter, config):
    """The tests whose times other processes changed."""
    disturbed = config.stash.get(DISTURBED, [])
    if disturbed and not config.getoption("benchmark_disable"):
        terminalreporter.section("disturbed: do not compare these times")
        for line in disturbed:
            terminalreporter.line(line)
