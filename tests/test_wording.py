"""Numbers in words, each expected text worked out by hand."""

import math
import subprocess
import sys

import pytest

from lossimpl import wording


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2.00 s"), (0.01234, "12.3 ms"), (5.6e-6, "5.60 µs"), (3e-9, "3.00 ns"), (0.0, "0 ns")]
)
def test_times_have_three_digits_and_a_unit(value, text):
    """The largest unit that leaves a digit before the point."""
    assert wording.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (3 << 20, "3.00 MiB"), (None, "–")]
)
def test_sizes_are_binary(value, text):
    """1 KiB is 1024 bytes."""
    assert wording.size(value) == text


@pytest.mark.parametrize(
    "words", [wording.seconds, wording.size, wording.rate, wording.count, wording.percent, wording.times, wording.error]
)
@pytest.mark.parametrize("missing", [None, math.nan, "text", True])
def test_what_is_no_number_is_a_dash(words, missing):
    """A record may lack any field or hold something else there."""
    assert words(missing) == wording.NOTHING


def test_the_terminal_formats_numbers_without_torch_numpy_or_pandas():
    """Both modules that the terminal and the site share are light."""
    code = "import sys, lossimpl.wording; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
