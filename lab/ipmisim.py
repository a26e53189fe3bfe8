"""OpenIPMI's ipmi_sim as the BMC of a machine: `python -m lab.ipmisim FOLDER …` is its chassis.

ipmi_sim calls its chassis as `PROGRAM … MC get NAME…` or `… MC set NAME VALUE…` (ipmi_lan(5),
chassis_control) for power, reset, shutdown, and boot, the next device, which is only noted: there is no disk.
"""

import sys
from pathlib import Path

from core.errors import UnavailableError
from lab.machine import Machine, load

PORT = 623
USER = "admin"
CHECKOUT = Path(__file__).resolve().parent.parent

LAN = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr {address} {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid {guid}
  endlan
  chassis_control "{folder}/chassis 0x20"
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""
EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
CHASSIS = """\
#!/bin/sh
cd '{checkout}' && exec '{python}' -m lab.ipmisim '{folder}' "$@"
"""


def write(machine: Machine, address: str, password: str) -> list[str]:
    """Write ipmi_sim's files for a machine whose BMC has this address; returns how it is started."""
    folder = machine.folder
    facts = {"folder": folder, "checkout": CHECKOUT, "python": sys.executable, "name": machine.name}
    facts |= {"address": address, "port": PORT, "user": USER, "password": password}
    guid = machine.mac.replace(":", "").rjust(32, "0")
    (folder / "lan.conf").touch(mode=0o600)
    (folder / "lan.conf").write_text(LAN.format(**facts, guid=guid), encoding="utf-8")
    (folder / "sim.emu").write_text(EMULATION, encoding="utf-8")
    chassis = folder / "chassis"
    chassis.write_text(CHASSIS.format(**facts), encoding="utf-8")
    chassis.chmod(0o755)
    return [
        *("ipmi_sim", "-n", "-c", str(folder / "lan.conf"), "-f", str(folder / "sim.emu")),
        *("-s", str(folder / "bmc")),
    ]


def get(machine: Machine, name: str) -> str:
    """The value of a chassis property."""
    if name == "power":
        return str(int(bool(machine.pid())))
    kept = machine.folder / "boot"
    if name == "boot":
        return kept.read_text() if kept.exists() else "none"
    return "0"


def put(machine: Machine, name: str, value: str) -> None:
    """Change a chassis property, or press a button."""
    if name == "boot":
        (machine.folder / "boot").write_text(value)
    elif name == "power":
        machine.on() if int(value) else machine.off()
    elif name == "reset":
        machine.reset()
    elif name == "shutdown":
        machine.shutdown()


def main(words: list[str]) -> int:
    """Be the chassis for one call."""
    folder, _controller, verb, *rest = words
    machine = load(Path(folder))
    try:
        if verb == "get":
            for name in rest:
                sys.stdout.write(f"{name}:{get(machine, name)}\n")
        elif verb == "set":
            for name, value in zip(rest[::2], rest[1::2], strict=True):
                put(machine, name, value)
    except UnavailableError as error:
        with (machine.folder / "chassis.log").open("a") as log:
            log.write(error.message + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
