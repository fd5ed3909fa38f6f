"""`sglang.launch_server` with mmhash installed in its processes: run by __main__.py.

SGLang spawns its processes, and a spawned child imports the main module again, as `__mp_main__`:
so this module is made the main module, and whatever of it is outside the last `if` happens in
each child before anything of SGLang's runs there. A package's `__main__.py` would not do:
multiprocessing leaves those out.
"""

from __future__ import annotations

import runpy

from mmhash.engines.sglang.engine import install, is_wanted

if __name__ in ("__main__", "__mp_main__") and is_wanted():
    install()

if __name__ == "__main__":
    # Without alter_sys: this stays the main module that children import.
    runpy.run_module("sglang.launch_server", run_name="__main__")
