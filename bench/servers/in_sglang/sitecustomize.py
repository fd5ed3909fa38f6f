"""Imported by every Python process of a measured SGLang, whose PYTHONPATH has this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import cpu_only
import on_import
import sglang_modes
import switch

cpu_only.stand_in()
on_import.run(cpu_only.AFTER_IMPORT)
FOLDER = switch.folder()
if FOLDER is not None:
    on_import.run(sglang_modes.after_import(switch.Switch(FOLDER, sglang_modes.MODES)))
