"""nfs-ganesha serves /install and /tftpboot over NFS version 4, read-only (ganesha-config(8)).

It needs neither the kernel's NFS server nor rpcbind, so every host can run it and nothing global is changed.
Root of a node may read all, as in xCAT: a node's root file system comes this way, with the numbers of its
owners, since names mean nothing to a RAM disk.
"""

from collections.abc import Mapping
from pathlib import Path

from drivers.services.daemon import Daemon, Folder, Port
from drivers.services.probes import nfs_lookup

PORT = 2049
CONFIG = """\
# Written by Serval from site.installdir and site.tftpdir.
NFS_CORE_PARAM {{
    Protocols = 4;
    NFS_Port = {port};
    Enable_NLM = false;
    Enable_RQUOTA = false;
}}
NFSv4 {{
    Graceless = true;
    Only_Numeric_Owners = true;
    RecoveryRoot = "{recovery}";
}}
NFS_KRB5 {{
    Active_krb5 = false;
}}
LOG {{
    Default_Log_Level = WARN;
}}
"""
EXPORT = """\
EXPORT {{
    Export_Id = {number};
    Path = "{folder}";
    Pseudo = "{name}";
    Access_Type = RO;
    Squash = No_Root_Squash;
    SecType = sys;
    Protocols = 4;
    Transports = TCP;
    FSAL {{
        Name = VFS;
    }}
}}
"""


def daemon(trees: Mapping[str, Path], folder: Path, service: str) -> Daemon:
    """ganesha.nfsd with its configuration in `folder`; `trees`: exported name → folder behind it."""
    config = folder / "ganesha.conf"
    recovery = folder / "recovery"
    return Daemon(
        name="ganesha",
        package="nfs-ganesha nfs-ganesha-vfs",
        command=("ganesha.nfsd", "-F", "-f", str(config), "-p", str(folder / "pid"), "-L", "STDERR"),
        files={config: render(trees, recovery)},
        folders=(Folder(recovery, mode=0o700), *(Folder(tree) for tree in trees.values())),
        ports=(Port("tcp", PORT), Port("udp", PORT)),
        checks={service: lambda: next(filter(None, map(nfs_lookup, trees)), None)},
    )


def render(trees: Mapping[str, Path], recovery: Path) -> str:
    """ganesha.conf. Paths hold no quote and no newline (core.services.settings)."""
    exports = (
        EXPORT.format(number=number, folder=tree, name=name)
        for number, (name, tree) in enumerate(trees.items(), start=1)
    )
    return CONFIG.format(port=PORT, recovery=recovery) + "".join(exports)
