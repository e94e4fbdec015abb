"""`python -m crop_core`: the command line, see crop_core/cli."""

import sys

from crop_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
