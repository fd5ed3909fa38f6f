"""Imported by every Python process of a measured vLLM, whose PYTHONPATH has this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from engines import cpu_only, import_hook, switch
from engines.vllm import modes

import_hook.run({"torch": cpu_only.with_torchvision})
FOLDER = switch.folder()
if FOLDER is not None:
    import_hook.run(modes.after_import(switch.Switch(FOLDER, modes.MODES)))
