#!/usr/bin/env bash
# setup.sh FOLDER WHEEL: makes FOLDER/venv, in which the multimodal modules of the released vLLM import without a GPU
# and mmhash is installed from WHEEL, and FOLDER/vllm-VERSION, vLLM's sources with its tests. Compiles nothing of vLLM.
set -euo pipefail
folder=$1 wheel=$2 version=${VLLM_VERSION:-0.33.0}
mkdir -p "$folder"
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/python" -m pip --disable-pip-version-check -q "$@"; }
pip install --no-compile torch==2.13.0
pip install --no-compile numpy pillow pydantic regex cbor2 psutil pyzmq urllib3 transformers aiohttp requests msgspec openai_harmony \
  openai pybase64 cachetools blake3 opencv-python-headless tblib pytest hypothesis
pip install "$wheel"
# To download sources pip asks the package itself for its version, with what it is built with. Without isolation, or it
# would fetch the build's own torch, of several gigabytes.
pip install "setuptools>=77,<81" setuptools-scm setuptools-rust packaging wheel jinja2 cmake ninja
VLLM_TARGET_DEVICE=empty VLLM_VERSION_OVERRIDE=$version pip download --no-deps --no-build-isolation \
  --no-binary vllm -d "$folder" "vllm==$version"
tar -xzf "$folder/vllm-$version.tar.gz" -C "$folder"
