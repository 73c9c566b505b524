#!/bin/sh
# Run every test with the interpreter $1; with "full" as $2 the slow ones too. One session for the claims and the
# examples (but those of kernels, which import only once their library is there), one for the inner loop, two for the C++
# kernels as older processors run them, and one for the Triton kernels, since Triton decides at import whether it
# interprets; without a GPU it does.
set -eu
python=$1
if [ "${2:-}" = full ]; then marks='slow or not slow'; else marks='not slow'; fi

"$python" -m pytest -q -m "$marks" --durations=15 --doctest-modules \
    --ignore tests/kernels/triton --ignore tests/bench --ignore lossimpl/kernels lossimpl reports tests
"$python" -m pytest -q -m "$marks" --benchmark-disable tests/bench
for isa in avx2 portable; do LOSSIMPL_ISA=$isa "$python" -m pytest -q -m "$marks" tests/kernels/cpp; done
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then export TRITON_INTERPRET=1; fi
"$python" -m pytest -q -m "$marks" tests/kernels/triton
