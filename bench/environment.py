"""On what a result was measured: processor, versions of the peers, instruction set."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import version
from typing import Any

import xxhash

import mmhash

PACKAGES = ("blake3", "numpy", "pytest-benchmark", "torch", "xxhash")

# Of what py-cpuinfo finds. Nothing that names the machine, or says where on it things lie, is kept.
CPU_KEYS = ("arch", "brand_raw", "family", "model", "count")


def describe(cpu: dict[str, Any]) -> dict[str, Any]:
    """The `machine_info` of a result."""
    info = mmhash.info()
    return {
        "cpu": {key: cpu[key] for key in CPU_KEYS if key in cpu},
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in PACKAGES},
        "xxhash_c": xxhash.XXHASH_VERSION,
        "openssl": ssl.OPENSSL_VERSION,  # whose SHA-256 is that of hashlib
        "mmhash": {key: info[key] for key in ("version", "isa", "isa_available", "xxhash")},
    }


def line(machine: dict[str, Any]) -> str:
    """One line for people, from a result's `machine_info`."""
    cpu, packages, ours = machine["cpu"], machine["packages"], machine["mmhash"]
    return (
        f"{cpu['brand_raw']} (family {cpu['family']}, model {cpu['model']}), {cpu['count']} cores, "
        f"{machine['system']}, Python {machine['python']}; mmhash {ours['version']} "
        f"({ours['isa'].upper()}, xxHash {ours['xxhash']}), "
        f"xxhash {packages['xxhash']} (xxHash {machine['xxhash_c']}), blake3 {packages['blake3']}, "
        f"hashlib with {machine['openssl'].rsplit(' ', 3)[0]}, torch {packages['torch']}, "
        f"NumPy {packages['numpy']}"
    )
