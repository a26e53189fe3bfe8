"""OpenIPMI's ipmi_sim as a BMC that we did not write: cipher suite 3, a chassis kept in files."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.freeport import free_port

LAN = """\
name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  {serial}
  chassis_control "{script} 0x20"
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
"""
EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""
#: Called as: script 0x20 get|set NAME [VALUE]; keeps the state in files and notes every set.
CHASSIS = """\
#!/bin/sh
cd {home}; shift; verb=$1; shift
while [ $# -gt 0 ]; do
  case $verb in
    get) echo "$1:$(cat $1 2>/dev/null || echo 0)"; shift;;
    set) echo "$1 $2" >> log; [ $1 = reset ] || echo $2 > $1; shift 2;;
    *) shift;;
  esac
done
"""


class IpmiSim:
    """One running ipmi_sim; `home` holds its chassis. `serial` is the TCP port of its serial port, if any."""

    def __init__(self, home: Path, serial: int | None = None) -> None:
        self.home = home
        self.port = free_port(socket.SOCK_DGRAM)
        script = home / "chassis"
        script.write_text(CHASSIS.format(home=home))
        script.chmod(0o755)
        wire = f'sol "tcp:127.0.0.1:{serial}" 115200' if serial else ""
        (home / "lan.conf").write_text(LAN.format(port=self.port, script=script, serial=wire))
        (home / "sim.emu").write_text(EMULATION)
        (home / "boot").write_text("none\n")
        self.power(False)
        arguments = ["-n", "-c", home / "lan.conf", "-f", home / "sim.emu", "-s", home / "state"]
        self.process = subprocess.Popen(
            ["ipmi_sim", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    def power(self, on: bool) -> None:
        (self.home / "power").write_text(f"{int(on)}\n")

    def taken(self) -> list[str]:
        """What the chassis was told since the last call."""
        log = self.home / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return lines


@contextmanager
def ipmi_sim(home: Path, serial: int | None = None) -> Iterator[IpmiSim]:
    """A running ipmi_sim with its files in `home`."""
    if shutil.which("ipmi_sim") is None:
        pytest.fail("ipmi_sim is not installed: make packages")
    made = IpmiSim(home, serial)
    try:
        time.sleep(0.3)
        yield made
    finally:
        made.process.terminate()
        made.process.wait()
