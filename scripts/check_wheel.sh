#!/usr/bin/env bash
# Installs a wheel into an empty environment and runs from it, far from the source tree. PYTHON names the interpreter.
set -euo pipefail
unset PYTHONPATH # the source tree must not stand in for the wheel

wheel=$(realpath "$1")
constraints=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../constraints.txt")
python=$(realpath -s "${PYTHON:-python3}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$python" -m venv venv
# torch first, as in the Makefile: a CPU build where one lies on disk.
venv/bin/python -m pip install --quiet --no-index --no-deps torch 2> /dev/null || true
venv/bin/python -m pip install --quiet -c "$constraints" "$wheel"

venv/bin/fedn --help > help.txt
grep --quiet "usage: fedn" help.txt
venv/bin/fedn data synth --preset tiny --out corpus
venv/bin/fedn data check corpus --dataset casme2
venv/bin/fedn doctor
# The weights in the wheel find their way, and say what they have seen.
venv/bin/fedn predict "$(find corpus/rawvideo -name '*.avi' | sort | head --lines 1)" --out found > found.txt
grep --quiet "generated people and nobody real" found.txt
test "$(stat --format %s "$wheel")" -lt 15000000
venv/bin/python -c 'from fedn_lightning import Detector, __version__; print("fedn-lightning", __version__, "works")'
