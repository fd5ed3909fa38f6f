#!/usr/bin/env bash
# The tests against the real SGLang: both ends of what is supported and one version in between, two minutes each.
#
#   tests/engines/sglang/run.sh WHEEL [VERSION...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 1 ]; then
  echo "usage: run.sh WHEEL [VERSION...]" >&2
  exit 2
fi
wheel=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- 0.5.5 0.5.11 0.5.23
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
for version in "$@"; do
  start=$SECONDS
  "$here/setup.sh" "$version" "$scratch/venv" "$wheel" "$scratch/common"
  echo "==== SGLang $version: environment built in $((SECONDS - start)) s"
  # From elsewhere and without the project's own conftest.py: what is tested is the wheel.
  (cd "$scratch" && PYTHONPATH='' "$scratch/venv/bin/python" -m pytest -q -rs -W ignore -p no:cacheprovider \
    --rootdir "$here" --confcutdir "$here" "$here") || status=1
done
exit $status
