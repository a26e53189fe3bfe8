"""slapd with the host's own directory (slapd(8)). What it holds is not Serval's, which only runs it."""

from pathlib import Path

from core.errors import UnavailableError
from drivers.services.daemon import Daemon, Port
from drivers.services.probes import ldap_bind

USER = "openldap"
PORT = 389


def daemon(directory: Path, service: str) -> Daemon:
    """slapd with the configuration database `directory`, /etc/ldap/slapd.d on Debian.

    Raises UnavailableError when there is none.
    """
    if not (directory / "cn=config.ldif").exists():
        raise UnavailableError(f"{directory} holds no LDAP configuration; make one: dpkg-reconfigure slapd")
    return Daemon(
        name="slapd",
        package="slapd",
        # -d keeps it in the foreground; 0 says nothing but errors.
        command=("slapd", "-d", "0", "-h", "ldap:///", "-F", str(directory), "-u", USER, "-g", USER),
        ports=(Port("tcp", PORT),),
        checks={service: ldap_bind},
    )
