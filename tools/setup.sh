#!/bin/sh
# Make the virtual environment in $1 with the extras $2, in pinned versions. Nothing is built in an isolated environment:
# that would fetch a second torch.
set -eu
venv=$1
extras=$2
python=${PYTHON3:-python3}

say() { printf '%s\n' "setup: $*" >&2; }

command -v "$python" >/dev/null || { say "python3 not found; on Debian: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed, $python is $("$python" -V)"
    exit 1
}
"$python" -c 'import ensurepip' 2>/dev/null || { say "venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
command -v g++ >/dev/null || say "no g++ found: the native CPU kernels will be unavailable (apt-get install g++)"

say "installing into $venv: torch and $extras"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
$pip install -c constraints.txt setuptools wheel
$pip install -c constraints.txt torch
$pip install -c constraints.txt --no-build-isolation --editable ".[$extras]"
