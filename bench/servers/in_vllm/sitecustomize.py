"""Imported by every Python process of a measured vLLM, whose PYTHONPATH has this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import cpu_only
import on_import
import switch
import vllm_modes

on_import.run({"torch": cpu_only.with_torchvision})
FOLDER = switch.folder()
if FOLDER is not None:
    on_import.run(vllm_modes.after_import(switch.Switch(FOLDER, vllm_modes.MODES)))
