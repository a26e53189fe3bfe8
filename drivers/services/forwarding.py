"""ipforward: whether this host passes packets on between its networks (ip-sysctl, net.ipv4.ip_forward)."""

from pathlib import Path

from core.errors import RequestError, UnavailableError
from drivers.services.records import Record, Records

SWITCH = Path("/proc/sys/net/ipv4/ip_forward")
NAME = "ipforward"


def keep(records: Records, *, on: bool, only_check: bool = False) -> str:
    """Switch forwarding on, or off when Serval switched it on; what was done, empty when it is not ours.

    Raises UnavailableError when it cannot be set, RequestError when a check finds it wrong.
    """
    mine = records.read(NAME) is not None
    if not on and not mine:
        return ""
    if (SWITCH.read_text(encoding="ascii").strip() == "1") == on:
        done = "unchanged" if on else "was off already"
    elif only_check:
        raise RequestError(f"{SWITCH} is not {int(on)}; mend: serval services")
    else:
        _set(on)
        done = "switched on" if on else "switched off"
        if on:
            records.write(NAME, Record(()))
    if not on and not only_check:
        records.forget(NAME)
    return done


def _set(on: bool) -> None:
    try:
        SWITCH.write_text(f"{int(on)}\n", encoding="ascii")
    except OSError as error:
        raise UnavailableError(f"{SWITCH} cannot be set to {int(on)}: {error.strerror}") from error
