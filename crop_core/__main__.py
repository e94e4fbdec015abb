"""`python -m crop_core`: see cli.py."""

import sys

from crop_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
