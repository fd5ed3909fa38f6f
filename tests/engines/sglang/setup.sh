#!/usr/bin/env bash
# A virtual environment with a released SGLang and mmhash, for a machine without a GPU: 90 s, 2.5 GB.
#
#   tests/engines/sglang/setup.sh VERSION VENV WHEEL [COMMON]      # VERSION: 0.5.5, 0.5.11 or 0.5.23
#
# SGLang is the released wheel. Packages that need a GPU are stubbed (mmhash_stubs.py); all others have the versions
# of requirements*.txt, without a resolver, which would ask for the GPU packages. torch may be a CPU or a GPU build.
# COMMON is a folder for whoever sets up several versions: what all versions need is installed there by the first
# call, and each VENV is a copy of it by hard links, which takes seconds and no space.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ $# -lt 3 ] || [ $# -gt 4 ]; then
  echo "usage: setup.sh VERSION VENV WHEEL [COMMON]" >&2
  exit 2
fi
version=$1 venv=$2 wheel=$3 common=${4:-}
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

install() {
  "$1/bin/python" -m pip --disable-pip-version-check install -q --no-compile --no-deps "${@:2}"
}

# What does not depend on SGLang's version.
new_environment() {
  rm -rf "$1"
  "${PYTHON:-python3}" -m venv "$1"
  install "$1" -r "$here/requirements.txt"
}

if [ -z "$common" ]; then
  new_environment "$venv"
else
  if [ ! -e "$common/complete" ]; then
    new_environment "$common"
    "$common/bin/python" -c "import torch" # compiles it, once for all copies
    touch "$common/complete"
  fi
  rm -rf "$venv"
  # Hard links are safe: pip unlinks what it replaces, and Python renames what it compiled into place.
  cp -al "$common" "$venv"
  grep -lsF "$common" "$venv"/bin/* | xargs -r rm # scripts that would run, or install, in $common
fi
install "$venv" -r "$here/$packages" "sglang==$version" "$wheel"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here/mmhash_stubs.py" "$site/"
echo "import mmhash_stubs" >"$site/mmhash_stubs.pth"
