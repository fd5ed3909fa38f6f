#!/usr/bin/env bash
# run.sh WHEEL: the tests of mmhash in vLLM, and vLLM's own tests of its hasher with mmhash in it, in a fresh environment.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
wheel=$(realpath "$1") version=${VLLM_VERSION:-0.33.0}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
VLLM_VERSION=$version "$here/setup.sh" "$folder" "$wheel"
export PYTHONPATH=$folder/vllm-$version
pytest() { "$folder/venv/bin/python" -m pytest -q -p no:cacheprovider "$@"; }
cp -r "$here" "$folder/ours"
(cd "$folder/ours" && pytest -c /dev/null --rootdir . .)
# vLLM's tests elsewhere than in its tree, whose conftest.py needs a build for a GPU.
mkdir "$folder/theirs"
cp -r "$PYTHONPATH/tests/multimodal/assets" "$PYTHONPATH/tests/multimodal/test_hasher.py" "$folder/theirs"
cp "$here/own_tests_conftest.py" "$folder/theirs/conftest.py"
(cd "$folder/theirs" && pytest -c /dev/null --rootdir . test_hasher.py)
