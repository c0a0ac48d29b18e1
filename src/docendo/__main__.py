"""`python -m docendo`: the command line where the `docendo` script is not on the path."""

import sys

from docendo.cli import main

if __name__ == "__main__":
    sys.exit(main())
