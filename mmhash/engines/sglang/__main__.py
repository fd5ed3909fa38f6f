"""`python -m mmhash.engines.sglang ARGS...`: `python -m sglang.launch_server ARGS...` with mmhash.

For SGLang 0.5.5 to 0.5.10, which have no plugins; later ones take it too. MMHASH_ENGINES=off
starts the server as it was released.
"""

import runpy

runpy.run_module("mmhash.engines.sglang.launch", run_name="__main__", alter_sys=True)
