"""What a service node keeps of the desired state, and with which driver: one line for each kind."""

from collections.abc import Mapping
from typing import Final

from routing.syncing import OpenKeeper

KEEPERS: Final[Mapping[str, OpenKeeper]] = {}
