"""Python's search for garbage in cycles, set for work on ten thousand nodes at once.

By default it looks through all new objects at every seven hundred of them, which is a fifth of the time of
such work and finds next to nothing: what a command makes lives until its end, and reference counts do the
rest.
"""

import gc

#: New objects between two searches: those of some ten thousand nodes.
OBJECTS = 100_000


def search_seldom() -> None:
    """From now on in this process."""
    gc.set_threshold(OBJECTS)
