"""`python -m mmhash`: the same as the command `mmhash`."""

import sys

from mmhash.cli import main

if __name__ == "__main__":
    sys.exit(main())
