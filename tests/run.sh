#!/bin/sh
# Run every test with the interpreter $1; with "full" as $2 the slow ones too. Two sessions, since Triton decides at
# import whether it interprets its kernels.
set -eu
python=$1
if [ "${2:-}" = full ]; then marks='slow or not slow'; else marks='not slow'; fi

"$python" -m pytest -q -m "$marks" --ignore tests/kernels/triton --ignore tests/bench --doctest-modules lossimpl reports tests
"$python" -m pytest -q -m "$marks" --benchmark-disable tests/bench
TRITON_INTERPRET=1 "$python" -m pytest -q -m "$marks" tests/kernels/triton
