#!/usr/bin/env bash
# The tests of mmhash in the real vLLM, and vLLM's own tests of its hasher with mmhash in it, in a fresh environment.
#
#   tests/engines/vllm/run.sh WHEEL [VERSION...]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 1 ]; then
  echo "usage: run.sh WHEEL [VERSION...]" >&2
  exit 2
fi
wheel=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- "${VLLM_VERSION:-0.33.0}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0
for version in "$@"; do
  folder=$scratch/$version
  VLLM_VERSION=$version "$here/setup.sh" "$folder" "$wheel"
  export PYTHONPATH=$folder/vllm-$version
  pytest() { "$folder/venv/bin/python" -m pytest -q -p no:cacheprovider "$@"; }
  cp -r "$here" "$folder/ours"
  (cd "$folder/ours" && pytest -c /dev/null --rootdir . .) || status=1
  # vLLM's tests elsewhere than in its tree, whose conftest.py needs a build for a GPU.
  mkdir "$folder/theirs"
  cp -r "$PYTHONPATH/tests/multimodal/assets" "$PYTHONPATH/tests/multimodal/test_hasher.py" "$folder/theirs"
  cp "$here/own_tests_conftest.py" "$folder/theirs/conftest.py"
  (cd "$folder/theirs" && pytest -c /dev/null --rootdir . test_hasher.py) || status=1
done
exit $status
