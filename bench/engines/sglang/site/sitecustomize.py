"""Imported by every Python process of a measured SGLang, whose PYTHONPATH has this folder."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

from engines import cpu_only, import_hook, switch
from engines.sglang import modes

cpu_only.stand_in()
import_hook.run(cpu_only.AFTER_IMPORT)
FOLDER = switch.folder()
if FOLDER is not None:
    import_hook.run(modes.after_import(switch.Switch(FOLDER, modes.MODES)))
