"""The console scripts: every command by its name, through the client of the command server."""

from typing import NoReturn

from cli.client import main


def serval() -> NoReturn:
    """The `serval` script."""
    main("serval")


def rpower() -> NoReturn:
    """The `rpower` script."""
    main("rpower")


def rsetboot() -> NoReturn:
    """The `rsetboot` script."""
    main("rsetboot")


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
