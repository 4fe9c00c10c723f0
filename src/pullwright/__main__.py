"""`python -m pullwright` is `pullwright`."""

import sys

from pullwright.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
