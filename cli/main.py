"""`python -m cli.main COMMAND …`: any command without its console script, for what Serval starts itself."""

import sys

from cli.client import main

if __name__ == "__main__":
    name, sys.argv = sys.argv[1], [sys.argv[1], *sys.argv[2:]]
    main(name)
