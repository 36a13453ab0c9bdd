"""`python -m agy_nb` runs the command `agy-nb`, also where scripts are not on the PATH."""

from __future__ import annotations

import sys

from agy_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
