# mypy: ignore-errors
# ruff: noqa: RET505
# Reasons: kernels are Triton's language, their arguments have no Python types; and after a `return` under a constant
# condition only an `else` keeps the compiler from compiling the rest.
"""Rows so long that several programs share one: who does what, and how each learns the others' sums.

A row is read twice, for the sums and for the gradient. The second reading costs no bandwidth as long as the L2 cache
holds the rows that all programs are at; of long rows it cannot, of their parts it can.

A part's sums are one word of 64 bits on a board of zeros in device memory: the largest logit and the sum of
exp(x - largest), both float32. Such a word is never zero (the sum is one or more, unless the largest is -inf), so it
says itself that it is there, arrives at once, and needs no fence. Everybody adds up all words in the same order.

Words are read a warp at a time, one by each thread, however few there are. Fewer threads' values would be repeated in
the others of the warp, by loads of their own that may come before the word, and the wait looks at one of each only.

Waiting for another program is safe only if that one runs. So parts are dealt out in the order in which programs start,
by a counter: whoever waits does so for parts dealt out before its own, whose programs have started, and for later parts
of the same row, which the next programs take as soon as they start. No program waits for anything else, so all those of
earlier rows end and make room; a device that can hold PARTS programs at once always has room for the rest of a row.
A kernel on another stream takes room only until it ends; if it shares rows too, PARTS - 1 of its programs at most wait
at once, so n such kernels need room for n (PARTS - 1) + 1 programs. An H100 has room for 264, eight times 32 parts.
"""

import triton
import triton.language as tl

WARP = tl.constexpr(32)  # as many words as a warp has threads; no row has more parts
NOTHING = tl.constexpr(-(0x80 << 48))  # the word of a part that is not there: -inf, and a sum of 0


@triton.jit
def row_and_part(board_ptr, PARTS: tl.constexpr):
    """The row and the part of it that this program does."""
    if PARTS == 1:
        return tl.program_id(0).to(tl.int64), 0
    else:
        ticket = tl.atomic_add(board_ptr, 1, sem="relaxed")
        return ticket // PARTS, (ticket % PARTS).to(tl.int32)


@triton.jit
def all_parts(words_ptr, part, top, rest, PARTS: tl.constexpr, WAIT: tl.constexpr):
    """Publish this part's sums, and return those of all parts: tops [WARP], sums [WARP]."""
    low = rest.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF
    word = (top.to(tl.int32, bitcast=True).to(tl.int64) << 32) | low
    tl.atomic_xchg(words_ptr + part, word, sem="relaxed")
    numbers = tl.arange(0, WARP)
    words = tl.load(words_ptr + numbers, mask=numbers < PARTS, other=NOTHING, volatile=True)
    if WAIT:
        while tl.sum((words == 0).to(tl.int32), axis=0) > 0:
            words = tl.load(words_ptr + numbers, mask=numbers < PARTS, other=NOTHING, volatile=True)
    return (words >> 32).to(tl.int32).to(tl.float32, bitcast=True), words.to(tl.int32).to(tl.float32, bitcast=True)
