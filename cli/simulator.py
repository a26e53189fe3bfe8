"""`serval sim`: simulated BMCs in the foreground, until Ctrl-C. The simulator itself is `lab/`.

It owns its process: it takes over signals and standard output, so no command server may run it.
"""

from contextlib import redirect_stderr, redirect_stdout

from cli.context import Context
from lab.sim import main


def sim(argv: list[str], ctx: Context) -> int:
    """Hand the words to the simulator; 0 after SIGINT or SIGTERM, 1 when it cannot start."""
    with redirect_stdout(ctx.out), redirect_stderr(ctx.err):
        try:
            return main(argv)
        except SystemExit as finished:  # argparse has answered by itself
            return 1 if finished.code else 0
