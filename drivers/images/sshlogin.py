"""Logging in as root on another machine over ssh: by a key, and only where the host's own key is known."""

from pathlib import Path

import paramiko

from core.errors import UnavailableError
from drivers.images.sshname import Login

CONNECT_S = 15.0
KEEPALIVE_S = 5
#: The host keys that this machine trusts for all its users.
SYSTEM = Path("/etc/ssh/ssh_known_hosts")


def tunnel(between: paramiko.SSHClient, to: Login) -> paramiko.Channel | None:
    """A way from that machine to another. Raises UnavailableError."""
    transport = between.get_transport()
    try:
        return transport and transport.open_channel(
            "direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), timeout=CONNECT_S
        )
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise UnavailableError(f"{to} cannot be reached from there: {error}") from None


def connect(to: Login, through: Login | None = None) -> paramiko.SSHClient:
    """An open connection, perhaps `through` another machine. Raises UnavailableError, saying what to do."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for file in (SYSTEM, to.folder / "known_hosts"):
        if file.is_file():
            client.load_system_host_keys(str(file))
    client.gate = connect(through) if through else None  # it is closed when nobody holds it any more
    try:
        _log_in(client, to)
    except UnavailableError:
        client.close()
        raise
    return client


def _log_in(client: paramiko.SSHClient, to: Login) -> None:
    keys = [str(file) for file in sorted(to.folder.glob("id_*")) if file.suffix != ".pub"]
    try:
        client.connect(
            to.host, to.port, "root", key_filename=keys, allow_agent=False, look_for_keys=False,
            timeout=CONNECT_S, banner_timeout=CONNECT_S, auth_timeout=CONNECT_S,
            sock=tunnel(client.gate, to) if client.gate else None,
        )  # fmt: skip
    except paramiko.BadHostKeyException:
        raise UnavailableError(f"{to} shows another host key than {to.folder}/known_hosts has") from None
    except paramiko.AuthenticationException:
        said = f"{to} lets root in with none of the keys in {to.folder}; as root: ssh-copy-id {to.host}"
        raise UnavailableError(said) from None
    except paramiko.SSHException as error:
        if "known_hosts" in str(error):
            said = f"{to} is not in {to.folder}/known_hosts; as root: ssh {to.host}, and compare its key"
            raise UnavailableError(said) from None
        if "authentication" in str(error).lower():
            said = f"{to} lets root in by key, and {to.folder} has none; as root: ssh-keygen, ssh-copy-id"
            raise UnavailableError(f"{said} {to.host}") from None
        raise UnavailableError(f"{to}: ssh: {error}") from None
    except (OSError, EOFError) as error:
        # paramiko's own errors of a connection have a text and no number
        said = (error.strerror or "") if isinstance(error, OSError) else str(error)
        raise UnavailableError(f"{to} cannot be reached by ssh: {said or 'it hung up'}") from None
    client.get_transport().set_keepalive(KEEPALIVE_S)
