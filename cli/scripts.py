"""The console scripts: every command by its name, through the client of the command server."""

from __future__ import annotations

from cli.client import main

#: typing costs more than the rest of the client; type checkers take this name for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def serval() -> NoReturn:
    """The `serval` script."""
    main("serval")


def rpower() -> NoReturn:
    """The `rpower` script."""
    main("rpower")


def rsetboot() -> NoReturn:
    """The `rsetboot` script."""
    main("rsetboot")


def nodeset() -> NoReturn:
    """The `nodeset` script."""
    main("nodeset")


def genimage() -> NoReturn:
    """The `genimage` script."""
    main("genimage")


def packimage() -> NoReturn:
    """The `packimage` script."""
    main("packimage")


def copycds() -> NoReturn:
    """The `copycds` script."""
    main("copycds")


def rmimage() -> NoReturn:
    """The `rmimage` script."""
    main("rmimage")


def liteimg() -> NoReturn:
    """The `liteimg` script."""
    main("liteimg")


def imgexport() -> NoReturn:
    """The `imgexport` script."""
    main("imgexport")


def imgimport() -> NoReturn:
    """The `imgimport` script."""
    main("imgimport")


def imgcapture() -> NoReturn:
    """The `imgcapture` script."""
    main("imgcapture")


def snmove() -> NoReturn:
    """The `snmove` script."""
    main("snmove")


def nodestat() -> NoReturn:
    """The `nodestat` script."""
    main("nodestat")


def mkdef() -> NoReturn:
    """The `mkdef` script."""
    main("mkdef")


def chdef() -> NoReturn:
    """The `chdef` script."""
    main("chdef")


def lsdef() -> NoReturn:
    """The `lsdef` script."""
    main("lsdef")


def rmdef() -> NoReturn:
    """The `rmdef` script."""
    main("rmdef")


def tabdump() -> NoReturn:
    """The `tabdump` script."""
    main("tabdump")


def tabrestore() -> NoReturn:
    """The `tabrestore` script."""
    main("tabrestore")


def nodels() -> NoReturn:
    """The `nodels` script."""
    main("nodels")


def chtab() -> NoReturn:
    """The `chtab` script."""
    main("chtab")


def gettab() -> NoReturn:
    """The `gettab` script."""
    main("gettab")


def tabgrep() -> NoReturn:
    """The `tabgrep` script."""
    main("tabgrep")


def tabprune() -> NoReturn:
    """The `tabprune` script."""
    main("tabprune")


def tabedit() -> NoReturn:
    """The `tabedit` script."""
    main("tabedit")


def nodech() -> NoReturn:
    """The `nodech` script."""
    main("nodech")


def nodegrpch() -> NoReturn:
    """The `nodegrpch` script."""
    main("nodegrpch")


def nodeadd() -> NoReturn:
    """The `nodeadd` script."""
    main("nodeadd")


def noderm() -> NoReturn:
    """The `noderm` script."""
    main("noderm")


def dumpxCATdb() -> NoReturn:  # noqa: N802  xCAT's name
    """The `dumpxCATdb` script."""
    main("dumpxCATdb")


def restorexCATdb() -> NoReturn:  # noqa: N802  xCAT's name
    """The `restorexCATdb` script."""
    main("restorexCATdb")


def lsxcatd() -> NoReturn:
    """The `lsxcatd` script."""
    main("lsxcatd")


def makehosts() -> NoReturn:
    """The `makehosts` script."""
    main("makehosts")


def nodepurge() -> NoReturn:
    """The `nodepurge` script."""
    main("nodepurge")


def makenetworks() -> NoReturn:
    """The `makenetworks` script."""
    main("makenetworks")


def makentp() -> NoReturn:
    """The `makentp` script."""
    main("makentp")


def makeconservercf() -> NoReturn:
    """The `makeconservercf` script."""
    main("makeconservercf")


def makedhcp() -> NoReturn:
    """The `makedhcp` script."""
    main("makedhcp")


def makedns() -> NoReturn:
    """The `makedns` script."""
    main("makedns")
