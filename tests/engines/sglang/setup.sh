#!/usr/bin/env bash
# A virtual environment with a released SGLang and mmhash, for a machine without a GPU: 90 s, 2.5 GB.
#
#   tests/engines/sglang/setup.sh VERSION VENV WHEEL      # VERSION: 0.5.5, 0.5.11 or 0.5.23
#
# SGLang is the released wheel. Packages that need a GPU are stubbed (mmhash_stubs.py); all others have the versions
# of requirements*.txt, without a resolver, which would ask for the GPU packages. torch may be a CPU or a GPU build.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -ne 3 ]; then
  echo "usage: setup.sh VERSION VENV WHEEL" >&2
  exit 2
fi
version=$1 venv=$2 wheel=$3
case $version in
  0.5.5 | 0.5.11) packages=requirements-0.5.5.txt ;; # 0.5.11's multimodal classes import with 0.5.5's transformers
  0.5.23) packages=requirements-0.5.23.txt ;;
  *)
    echo "setup.sh: expected version 0.5.5, 0.5.11 or 0.5.23, found $version" >&2
    exit 2
    ;;
esac
if [ ! -f "$wheel" ]; then
  echo "setup.sh: expected a wheel of mmhash, found nothing at $wheel: build one with python -m build --wheel" >&2
  exit 2
fi

rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" --disable-pip-version-check install -q --no-compile --no-deps -r "$here/requirements.txt" -r "$here/$packages" \
  "sglang==$version" "$wheel"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here/mmhash_stubs.py" "$site/"
echo "import mmhash_stubs" >"$site/mmhash_stubs.pth"
