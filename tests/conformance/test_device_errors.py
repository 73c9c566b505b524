"""A kernel that refuses a value on a GPU: the check that asked for it passes, and the next has a process that works."""

import dataclasses

import lossimpl
from lossimpl.agreement.cases import checks
from lossimpl.agreement.judge import run_check, without_outcome
from lossimpl.conformance import run
from lossimpl.conformance.isolation import Outcome

# torch 2.11's message; the class is new there, and was RuntimeError before.
MESSAGE = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported"
LOSS = lossimpl.get("cross_entropy")


def refuse(*arguments, **options):
    raise RuntimeError(MESSAGE)


def test_a_kernels_assert_is_the_error_that_a_bad_value_has_to_give():
    """On CPU the contract wants an IndexError that names the class; from a kernel there is this only."""
    bad = next(check for check in checks(LOSS) if check.raises == (IndexError,))
    good = next(check for check in checks(LOSS) if not check.raises)
    assert run_check(LOSS, "native", refuse, bad, "float32").status == "pass"
    assert run_check(LOSS, "native", refuse, good, "float32").status == "error"


class Counting:
    """Stands for the worker: answers as given, and counts how often it was replaced."""

    def __init__(self, outcome):
        self.outcome, self.renewed = outcome, 0

    def run(self, *arguments, seconds):
        return self.outcome

    def renew(self):
        self.renewed += 1


def test_after_an_error_of_the_device_the_child_is_replaced():
    """Every later row would be an error otherwise: CUDA keeps such an error until the process ends."""
    check = next(iter(checks(LOSS)))
    job = run.Job("cross_entropy", check.name, "native", "cuda", "float32")
    row = without_outcome(check, job.loss, job.implementation, job.dtype, job.device, "", "pass")
    failed = dataclasses.replace(row, got=f"AcceleratorError: {MESSAGE}")
    for outcome, expected in (
        (Outcome("returned", [row]), 0),
        (Outcome("returned", [failed]), 1),
        (Outcome("raised", None, f"AcceleratorError: {MESSAGE}"), 1),
    ):
        worker = Counting(outcome)
        assert len(run._results(worker, [job])) == 1
        assert worker.renewed == expected
