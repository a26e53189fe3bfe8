"""The `serval` command: one subcommand a verb, each a function of its own module."""

import importlib

from cli.context import Context
from core.errors import RequestError

#: Subcommand → module, function, one line of help.
SUBCOMMANDS = {
    "up": ("cli.cluster", "up", "start Redis and the workers of this machine"),
    "down": ("cli.cluster", "down", "stop what `serval up` started"),
    "status": ("cli.cluster", "status", "what of Serval runs on this machine"),
    "worker": ("cli.cluster", "worker", "be the management node or a service node"),
    "server": ("cli.server", "server", "be the warm command server"),
    "sn": ("cli.members", "sn", "service nodes: lease, version, load, nodes served"),
    "services": ("cli.services", "services", "set up or check the daemons of service nodes"),
    "images": ("cli.images", "images", "which service node has which version of an image"),
    "console": ("cli.console", "console", "the serial console of a node"),
    "check": ("cli.check", "check", "what is wrong with the hierarchy, and how to mend it"),
    "jobs": ("cli.jobs", "listing", "the newest jobs"),
    "job": ("cli.jobs", "show", "one job, folded by outcome"),
    "watch": ("cli.watch", "watch", "follow a job with a progress bar"),
    "cancel": ("cli.jobs", "cancel", "end what a job has not sent yet"),
    "retry": ("cli.retry", "retry", "ask again for the nodes that failed"),
    "flower": ("cli.flowerui", "flower", "Celery's web page on this cluster"),
    "db": ("cli.database", "database", "make, move, check and save the database"),
    "import-xcat": ("cli.importxcat", "import_xcat", "take over an xCAT site from the files of dumpxCATdb"),
    "log": ("cli.buildsteps", "log", "all that a build, or a copy of media, wrote"),
    "why": ("cli.why", "why", "what happened to a node, hop by hop"),
    "sim": ("cli.simulator", "sim", "simulated BMCs by the thousand, to rehearse with"),
}


def serval(argv: list[str], ctx: Context) -> int:
    """Run a subcommand."""
    if not argv or argv[0] in ("-h", "--help"):
        ctx.say(usage())
        return 0 if argv else 1
    if argv[0] not in SUBCOMMANDS:
        raise RequestError(f"serval has no subcommand '{argv[0]}'; it has: {', '.join(SUBCOMMANDS)}")
    module, function, _ = SUBCOMMANDS[argv[0]]
    status: int = getattr(importlib.import_module(module), function)(argv[1:], ctx)
    return status


def usage() -> str:
    """The list of subcommands."""
    width = max(len(name) for name in SUBCOMMANDS)
    lines = [f"  {name:<{width}}  {help_}" for name, (_, _, help_) in SUBCOMMANDS.items()]
    return "\n".join(["usage: serval SUBCOMMAND [-h] …", "", *lines])
