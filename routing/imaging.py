"""genimage and packimage on the host that builds: log, steps as events of the job, the drivers' work."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from core.errors import RequestError, ServalError, UnavailableError
from core.fold import fold
from core.services import settings
from db import events, jobs
from db.deliveries import Said
from db.engine import Engine, reading, writing
from db.home import Home
from db.lookup import passwords, site_values
from drivers.files import make_folder
from drivers.images.build import Tell, build
from drivers.images.jail import Jail
from drivers.images.ownwheel import gather
from drivers.images.pack import Compression, Method, Wanted, bared, pack
from drivers.images.remote import build_on
from drivers.images.shelf import BUILD, ROOT, sweep
from drivers.images.sshname import login
from routing.imagewishes import publish
from routing.osimages import METHOD, images, recipe, source
from routing.syncing import Hand, Order

log = logging.getLogger(__name__)

#: The event of a job that says how far it is.
STEP = "step"
#: How many names are said.
MOST_SAID = 5


def build_log(home: Home, job: int) -> Path:
    """The full log of a build or packing."""
    return home.logs / "builds" / f"{job}.log"


@contextmanager
def opened_log(order: Order) -> Iterator[BinaryIO]:
    """The log of this job, for its owner alone."""
    file = build_log(order.home, order.job)
    make_folder(file.parent)
    try:
        with file.open("ab") as log_:
            file.chmod(0o600)
            yield log_
    except OSError as error:
        raise UnavailableError(f"{error.filename or file}: {error.strerror}") from error


def telling(order: Order) -> Tell:
    """Writes each step as an event of the job."""

    def tell(percent: int, text: str) -> None:
        try:
            with writing(order.engine) as connection:
                events.record(
                    connection,
                    order.job,
                    time.time(),
                    STEP,
                    f"{percent} % {text}",
                    attempt=order.attempt or None,
                )
        except UnavailableError as error:
            log.warning("job %d: %s", order.job, error.message)

    return tell


def carried_out(order: Order, act: Callable[[Jail, Tell], str]) -> Said:
    """Do it with a log; what is said ends the node, and an error is in the log too."""
    with opened_log(order) as file:
        try:
            text = act(Jail(file, order.given_up), telling(order))
        except ServalError as error:
            file.write(f"{error.message}\n".encode())
            raise RequestError(f"{error.message}. The log: serval log {order.job}") from error
    return Said(texts=dict.fromkeys(order.nodes, text))


def genimage(order: Order) -> Said:
    """The hand that makes the root tree of `image`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"])
    wanted = replace(recipe(found), rootlimit=details.get("rootlimit", ""))
    update = True if "update" in details else False if "noupdate" in details else None

    def act(jail: Jail, tell: Tell) -> str:
        fresh = "fresh" in details
        if "on" in details:
            there = login(details["on"])
            built = build_on(there, wanted, found.folder, jail, tell, fresh=fresh, gather=gather)
        else:
            built = build(
                wanted, found.folder, jail, tell,
                fresh=fresh, update=update, only_initrd="onlyinitrd" in details, gather=gather,
            )  # fmt: skip
        if built.unchanged:
            return f"{found.name} is unchanged in {found.folder}; genimage --fresh builds it anew"
        return f"{found.name}: {len(built.record.packages)} packages in {found.folder}"

    return carried_out(order, act)


def packimage(order: Order) -> Said:
    """The hand that packs the root tree of `image`."""
    details = order.details
    with reading(order.engine) as connection:
        found = source(connection, order.home, details["image"], (METHOD,))
        known = dict(passwords(connection, "system"))
    password = known.get("root", "")
    wanted = Wanted(
        Method(details["method"]), Compression(details["compression"]), found.excludes(), password
    )

    def act(jail: Jail, tell: Tell) -> str:
        record, gone = pack(found.folder, wanted, jail, tell)
        having = publish(order.engine, order.home, found.name)
        said = f"{found.folder / record.file}: {record.size >> 20} MB, sha256 {record.sha256[:16]}"
        if not password:
            said += "; root has no password, for passwd has no row key=system username=root"
        if bare := bared(found.folder / ROOT, wanted):
            said += f"; cpio has no place for the file capabilities of {', '.join(bare[:MOST_SAID])}"
        if gone:
            said += f"; {', '.join(gone)} is gone: run nodeset for the nodes that booted it"
        if having:
            said += f"; goes to {fold(having)}"
        return said

    return carried_out(order, act)


def sweep_builds(home: Home, engine: Engine) -> list[str]:
    """At the start of a worker: remove what builds that were killed have left; the folders.

    Logs of jobs that are forgotten go too.
    """
    with reading(engine) as connection:
        sources = images(connection, home)
        install = home.host_path(settings.trees(site_values(connection)).install)
        for file in build_log(home, 0).parent.glob("*.log"):
            if file.stem.isdecimal() and jobs.info(connection, int(file.stem)) is None:
                file.unlink()
    folders = {
        place.parent for place in install.glob(f"netboot/*/*/*/{BUILD}")
    }  # of an import: no osimage yet
    for one in sources:
        with suppress(RequestError):
            folders.add(one.folder)
    return [str(folder) for folder in sorted(folders) if sweep(folder)]


HANDS: dict[str, Hand] = {"genimage": genimage, "packimage": packimage}
