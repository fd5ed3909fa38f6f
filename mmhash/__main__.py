"""`python -m mmhash`: the same as the command `mmhash`."""

import importlib
import sys

# The entry point by name, as in pyproject.toml: the command imports the package, which imports
# nothing of it.
if __name__ == "__main__":
    sys.exit(importlib.import_module("mmhash.cli").main())
