#!/bin/sh
# Make the virtual environment in $1 with the extras $2, in pinned versions; what pip prints goes to setup.log in it.
# Nothing is built in an isolated environment: that would fetch a second torch. The editable installation is a plain
# path entry, which type checkers follow and which a folder named lossimpl beside a script does not hide.
set -eu
venv=$1
extras=$2
python=${PYTHON3:-python3}
started=$(date +%s)

say() { printf 'setup: %s\n' "$*" >&2; }
step() {
    what=$1
    shift
    say "$what ..."
    "$@" >>"$venv/setup.log" 2>&1 || {
        tail -n 20 "$venv/setup.log" >&2
        say "$what failed; all of its output is in $venv/setup.log"
        exit 1
    }
}

command -v "$python" >/dev/null || { say "python3 not found; on Debian: apt-get install python3 python3-venv"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "Python 3.11 or newer is needed, $python is $("$python" -V)"
    exit 1
}
"$python" -c 'import ensurepip' 2>/dev/null || { say "venv is missing; on Debian: apt-get install python3-venv"; exit 1; }
command -v g++ >/dev/null || say "no g++ found: the native CPU kernels will be unavailable (apt-get install g++)"

mkdir -p "$venv"
[ -x "$venv/bin/python" ] || step "virtual environment in $venv" "$python" -m venv "$venv"
install="$venv/bin/python -m pip --disable-pip-version-check install --no-compile -c constraints.txt"
step "torch" $install setuptools wheel torch
step "packages: $extras" $install --no-build-isolation --config-settings editable_mode=compat --editable ".[$extras]"
say "done in $(($(date +%s) - started)) s"
