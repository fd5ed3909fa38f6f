#!/usr/bin/env bash
# A virtual environment in which a released SGLang serves images on the CPU, with mmhash: two minutes, 3 GB.
#
#   bench/engines/sglang/setup.sh VERSION VENV WHEEL      # VERSION: 0.5.5 or 0.5.23
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../../tests/engines/sglang/setup.sh" "$@"
more=()
if [ "$1" = 0.5.5 ]; then
  more=(torchao==0.9.0) # imported whether it is used or not
fi
"$2/bin/pip" --disable-pip-version-check install -q --no-deps -r "$here/requirements.txt" "${more[@]}"
