"""vsftpd gives the install folder to everybody, read-only and without a password (vsftpd.conf(5))."""

from pathlib import Path

from drivers.services.daemon import Daemon, Folder, Port
from drivers.services.probes import ftp_login

CONFIG = """\
# Written by Serval from site.installdir.
listen=YES
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={root}
local_enable=NO
write_enable=NO
ftp_username=ftp
nopriv_user=nobody
secure_chroot_dir={empty}
connect_from_port_20=NO
xferlog_enable=NO
"""
PORT = 21


def daemon(root: Path, folder: Path, empty: Path, service: str) -> Daemon:
    """vsftpd with its configuration in `folder`; `empty` is the folder that it locks helpers into."""
    config = folder / "vsftpd.conf"
    return Daemon(
        name="vsftpd",
        package="vsftpd",
        command=("vsftpd", str(config)),
        files={config: CONFIG.format(root=root, empty=empty)},
        folders=(Folder(root), Folder(empty)),
        ports=(Port("tcp", PORT),),
        checks={service: ftp_login},
    )
