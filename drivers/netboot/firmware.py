"""The loaders themselves, put into tftpdir from Debian's packages; nothing is downloaded or compiled.

GRUB is put together by grub-mkimage (package grub-common) from the modules of its package, because Debian's
signed network image reads one grub.cfg for all machines. So Secure Boot has to be off.
"""

import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from core.bootdoc import Loader
from core.errors import RequestError
from drivers.netboot.folder import Folder
from drivers.netboot.loader import Firmware
from drivers.netboot.loaders import LOADERS

TIMEOUT_S = 60
#: Not the name that a boot tree uses: both may be at work in one tftpdir.
_NEW = ".serval-new-loader"

_GRUB_FOLDER = "/boot/grub2"
#: What our scripts say, what finds a disk's own loader, and both ways to the server.
_GRUB_MODULES = [
    *("normal", "configfile", "test", "true", "echo", "sleep", "halt", "reboot"),
    *("linux", "boot", "chain", "gzio", "search", "search_fs_file", "part_gpt", "part_msdos", "fat"),
    *("efinet", "net", "tftp", "http"),
]


def put_loaders(
    tftpdir: Path, wanted: Iterable[tuple[Loader, str]], root: Path = Path("/")
) -> dict[str, str]:
    """Make the loaders' files in tftpdir those of the installed packages; only what differs is written.

    `wanted` are the loaders and architectures that nodes have; `root` is where the packages are installed.
    File → sentence of those that could not be made. Raises RequestError when tftpdir cannot be used.
    """
    problems = {}
    try:
        with closing(Folder(tftpdir, _NEW)) as folder:
            for firmware in _firmware(set(wanted)):
                try:
                    data = _content(firmware, root)
                except RequestError as error:
                    problems[firmware.file] = error.message
                    continue
                if folder.read(firmware.file) != data:
                    folder.write(firmware.file, data)
    except OSError as error:
        raise RequestError(f"{tftpdir} cannot hold the boot loaders: {error.strerror}") from error
    return problems


def _firmware(wanted: set[tuple[Loader, str]]) -> list[Firmware]:
    return [
        firmware
        for loader, kind in LOADERS.items()
        for firmware in kind.firmware
        if (loader, firmware.arch) in wanted
    ]


def _content(firmware: Firmware, root: Path) -> bytes:
    source = root / firmware.source
    if not source.exists():
        raise RequestError(
            f"{source} is missing, so there is no {firmware.file}: "
            f"install the Debian package {firmware.package}"
        )
    if firmware.grub_platform:
        return _grub_image(source, firmware.grub_platform)
    try:
        return source.read_bytes()
    except OSError as error:
        raise RequestError(f"{source} cannot be read: {error.strerror}") from error


def _grub_image(modules: Path, platform: str) -> bytes:
    with TemporaryDirectory(prefix="serval-grub-") as folder:
        image = Path(folder) / "grub"
        command = ["grub-mkimage", "--format", platform, "--directory", str(modules)]
        command += ["--prefix", _GRUB_FOLDER, "--output", str(image), *_GRUB_MODULES]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
        except FileNotFoundError as error:
            raise RequestError(
                "grub-mkimage is missing, so there is no grub2: install the Debian package grub-common"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise RequestError(f"grub-mkimage did not end within {TIMEOUT_S} s for {platform}") from error
        except subprocess.CalledProcessError as error:
            raise RequestError(f"grub-mkimage made no {platform} image: {error.stderr.strip()}") from error
        return image.read_bytes()
