"""A compute node of the laboratory: a QEMU machine that boots from the network, driven over QMP.

KVM is used only where it is proved to work; elsewhere QEMU emulates. Its serial console goes to a file, where
the node says what it boots from (lab/node/report).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import UnavailableError
from lab.image import Image

QEMU = "qemu-system-x86_64"
#: Debian's package ovmf.
UEFI = Path("/usr/share/OVMF")
#: Kernel modules of a KVM that runs any guest; /dev/kvm alone does not say so.
REAL_KVM = (Path("/sys/module/kvm_intel"), Path("/sys/module/kvm_amd"))
PROBE_S = 5
QMP_S = 5.0
MEGABYTES = 512
#: QEMU looks through all that it has translated of a page at each write to it. Of a library that hundreds of
#: processes have had at other addresses that is so much that a guest seems to hang, so it forgets early.
TCG = "tcg,tb-size=64"


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine; all that is known of it lies in `folder`, so that any process can drive it."""

    name: str
    folder: Path
    mac: str
    #: Its port on the switch.
    tap: str
    #: `kvm` or `tcg`.
    accelerator: str
    #: `bios`, whose network boot is iPXE in the card; `uefi`, with a network boot of its own.
    firmware: str = "bios"
    megabytes: int = MEGABYTES
    #: Of its disk, which it boots when the network does not want it; 0: it has none.
    gigabytes: int = 0

    def save(self) -> None:
        """Write down what it is, for `load`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = asdict(self) | {"folder": str(self.folder)}
        (self.folder / "machine.json").write_text(json.dumps(told), encoding="utf-8")

    @property
    def console(self) -> Path:
        """What it wrote to its serial line since it was made."""
        return self.folder / "console"

    @property
    def serial(self) -> Path:
        """The socket of its serial line, for one who reads and writes there."""
        return self.folder / "serial"

    @property
    def disk(self) -> Path:
        """What its disk holds."""
        return self.folder / "disk"

    # -- power -------------------------------------------------------------------------------------

    def pid(self) -> int:
        """Its QEMU, 0 when it is off."""
        try:
            pid = int((self.folder / "pid").read_text())
            return pid if QEMU.encode() in Path(f"/proc/{pid}/cmdline").read_bytes() else 0
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return 0

    def on(self) -> None:
        """Switch it on; raises UnavailableError when QEMU does not start."""
        if not self.pid():
            self.prepare()
            start(self.command())

    def prepare(self) -> None:
        """Make what it is started with: its disk, once."""
        if self.gigabytes and not self.disk.exists():
            self.disk.touch()
            os.truncate(self.disk, self.gigabytes << 30)
        if self.firmware == "uefi":
            # What it remembers of another start may hang it.
            shutil.copy(UEFI / "OVMF_VARS_4M.fd", self.folder / "vars")

    def off(self) -> None:
        """Switch it off, as by pulling the plug."""
        if pid := self.pid():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            while self.pid():
                time.sleep(0.01)

    def reset(self) -> None:
        """Press the reset button; a machine that is off stays off."""
        if self.pid():
            self.qmp("system_reset")

    def shutdown(self) -> None:
        """Press the power button; whether it goes off is up to its kernel."""
        if self.pid():
            self.qmp("system_powerdown")

    # -- QEMU --------------------------------------------------------------------------------------

    def command(self) -> list[str]:
        """How it is started, to run in the background."""
        folder, log = self.folder, f"logfile={self.console},logappend=on"
        accel = TCG if self.accelerator == "tcg" else self.accelerator
        return [
            *(QEMU, "-name", self.name, "-cpu", "max", "-accel", accel, *self._firmware()),
            *("-m", str(self.megabytes), "-smp", "1", "-nodefaults", "-display", "none"),
            *("-netdev", f"tap,id=net,ifname={self.tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=net,mac={self.mac},bootindex=0{self._rom()}"),
            *("-device", "virtio-rng-pci", *self._disk()),
            *("-chardev", f"socket,id=console,path={self.serial},server=on,wait=off,{log}"),
            *("-serial", "chardev:console"),
            *("-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"),
            *("-daemonize", "-pidfile", str(folder / "pid")),
        ]

    def _firmware(self) -> list[str]:
        if self.firmware == "bios":
            return ["-machine", "pc"]
        code, kept = UEFI / "OVMF_CODE_4M.fd", self.folder / "vars"
        drives = (
            f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
            f"if=pflash,unit=1,format=raw,file={kept}",
        )
        return ["-machine", "q35", *(word for drive in drives for word in ("-drive", drive))]

    def _disk(self) -> list[str]:
        if not self.gigabytes:
            return []
        drive = f"if=none,id=disk,format=raw,cache=unsafe,file={self.disk}"
        # GRUB writes to a screen, and hangs where there is none.
        return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk,bootindex=1", "-device", "VGA"]

    def _rom(self) -> str:
        """UEFI boots without the card's iPXE, so that the loaders which the service nodes serve are used."""
        return ",romfile=" if self.firmware == "uefi" else ""

    def qmp(self, command: str) -> None:
        """Carry out one command of the QEMU Machine Protocol. Raises UnavailableError when QEMU refuses."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(QMP_S)
            line.connect(str(self.folder / "qmp"))
            with line.makefile("rw", encoding="utf-8") as talk:
                talk.readline()
                for word in ("qmp_capabilities", command):
                    talk.write(json.dumps({"execute": word}) + "\n")
                    talk.flush()
                    answer: dict[str, Any] = {"event": ""}
                    while "event" in answer:
                        answer = json.loads(talk.readline())
                    if "error" in answer:
                        raise UnavailableError(f"{self.name}: {command}: {answer['error']['desc']}")

    # -- what it says ------------------------------------------------------------------------------

    def reports(self, status: str = "booted") -> list[dict[str, str]]:
        """Each time that it reported this status: node, server that it came from, nonce of the boot."""
        if not self.console.exists():
            return []
        lines = self.console.read_text(encoding="utf-8", errors="replace").splitlines()
        mark = f"lab: {status} "
        told = (line.partition(mark)[2].split() for line in lines if mark in line)
        return [dict(word.split("=", 1) for word in words if "=" in word) for words in told]

    def last(self) -> str:
        """The last that it wrote."""
        return self.console.read_text(errors="replace")[-500:] if self.console.exists() else "nothing"


def load(folder: Path) -> Machine:
    """The machine of a folder."""
    told = json.loads((folder / "machine.json").read_text(encoding="utf-8"))
    return Machine(**told | {"folder": Path(told["folder"])})


def accelerator(image: Image) -> str:
    """`kvm` where it boots a kernel, else `tcg`."""
    if not any(module.is_dir() for module in REAL_KVM):
        return "tcg"
    probe = [QEMU, "-accel", "kvm", "-cpu", "max", "-m", str(MEGABYTES), "-display", "none", "-nic", "none"]
    probe += ["-no-reboot", "-serial", "stdio", "-kernel", str(image.kernel), "-initrd", str(image.initrd)]
    probe += ["-append", "console=ttyS0 quiet lab.probe"]
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            probe, capture_output=True, timeout=PROBE_S, check=False, stdin=subprocess.DEVNULL
        )
        if b"lab: probed" in done.stdout:
            return "kvm"
    return "tcg"


def start(command: list[str]) -> None:
    """Start a program that goes into the background by itself, and holds nothing of ours open."""
    log = subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=log, stdout=log, stderr=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError as error:
        raise UnavailableError(f"{command[0]} is not installed: make packages") from error
    if done.returncode != 0:
        raise UnavailableError(f"{command[0]}: {done.stderr.strip()}")
