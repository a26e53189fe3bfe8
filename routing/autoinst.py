"""Answers of installers for nodes that are to be installed to disk: a document for each (core.autoinst).

Nothing is rendered for other nodes. A template is compiled once for a command, what holds for an image is
gathered once, and each table is read once for all nodes.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.autoinst.document import PROGRAMS, SERVER, answers, answers_path
from core.autoinst.mirror import mirror_of
from core.autoinst.values import Ready
from core.bootdoc import SERVER as ANSWERING
from core.errors import DefinitionError, ServalError
from core.images.pkglist import Transaction, read_pkglist
from core.images.sources import listed
from core.nodeset.decide import Decision
from core.nodeset.files import INSTALL, media
from core.nodeset.installation import Installation
from core.wanted import Kind
from db import wanted
from db.engine import Connection
from db.home import Home
from db.images import read_image
from drivers.templates import Press
from routing.osimages import SHIPPED, Source
from routing.templatewords import Words

#: No service node has answers for it.
GONE: wanted.Entry = ((), "")


@dataclass(frozen=True, slots=True)
class Answers:
    """What `wanted.put` shall write; node → error class and sentence where it cannot be rendered."""

    entries: Mapping[str, wanted.Entry]
    bad: Mapping[str, tuple[str, str]]


def plan_answers(
    connection: Connection,
    home: Home,
    site: Mapping[str, str],
    decisions: Mapping[str, Decision],
    pools: Mapping[str, Collection[str]],
) -> Answers:
    """The answers of those of the nodes that are installed; those of the others are gone.

    With site.installloc the management node alone has them: service nodes mount its folder.
    """
    asked = {node: decision.install for node, decision in decisions.items() if decision.install}
    entries = {node: GONE for node in wanted.names(connection, Kind.AUTOINST) if node in decisions}
    shared = (home.mn,) if site.get("installloc", "").strip() else ()
    bad = {}
    renderer = Renderer(connection, home, site, asked)
    for node, installation in asked.items():
        try:
            text = renderer.document(node, installation, pools[node])
            entries[node] = (shared or tuple(pools[node]), text)
        except ServalError as error:
            bad[node] = (type(error).__name__, error.message)
    return Answers(entries, bad)


class Renderer:
    """Renders for the nodes of one command."""

    def __init__(
        self, connection: Connection, home: Home, site: Mapping[str, str], nodes: Collection[str]
    ) -> None:
        self._connection, self._home, self._site = connection, home, site
        self._words = Words(connection, site, nodes)
        self._kits: dict[int, _Kit] = {}

    def document(self, node: str, installation: Installation, pool: Collection[str]) -> str:
        """The document of a node. Raises ServalError, naming file and line of a template."""
        kit = self._kits.get(id(installation))
        if kit is None:
            kit = self._kits[id(installation)] = self._kit(installation)
        words, own, port = self._words, {**kit.variables, "NODE": node}, installation.place.report_port
        values = {
            **kit.values,
            "node": node,
            "reports": ",".join(f"{host}:{port}" for host in dict.fromkeys((kit.reports_to, *pool))),
            "answers": f"{kit.url}/{INSTALL}/{answers_path(installation.image.family, node)}",
            "table": partial(words.table, node),
            "crypt": partial(words.crypt, node),
            "env": partial(words.env, own),
            "xcatvar": partial(words.xcatvar, own),
        }
        return answers(installation.image.family, node, kit.press.render(kit.template, values)).to_text()

    def _kit(self, installation: Installation) -> "_Kit":
        image, place = installation.image, installation.place
        values = read_image(self._connection, image.imagename)
        source = Source(image.imagename, values, place.installdir, self._home)
        template = template_of(source)
        server = place.files_from.replace(ANSWERING, SERVER)
        report = place.reports_to.replace(ANSWERING, SERVER)
        packages = names(source.packages("pkglist"))
        url = f"http://{server}:{place.http_port}"
        tree = media(image, place.installdir)
        told: dict[str, Any] = {
            "image": {"name": image.imagename, **values},
            "site": dict(self._site),
            "domain": self._site.get("domain", ""),
            "timezone": self._site.get("timezone") or "Etc/UTC",
            "server": server,
            "tree": f"{url}/{tree}",
            "programs": f"{url}/{INSTALL}/{PROGRAMS}",
            "mirror": mirror_of(image.pkgdir, f"{url}/{tree}"),
            "packages": packages,
            "kernel_arguments": installation.arguments,
            "pkglist": partial(pkglist, source, packages),
        }
        variables = {
            "XCATMASTER": report,
            "XCATHTTPPORT": str(place.http_port),
            "HTTPPORT": str(place.http_port),
            "XCATIPORT": str(place.report_port),
            "INSTALLDIR": place.installdir,
            "TFTPDIR": place.tftpdir,
            "OSVER": image.osvers,
            "ARCH": image.osarch,
            "PROFILE": image.profile,
            "IMAGENAME": image.imagename,
            "DOMAIN": self._site.get("domain", ""),
        }
        press = Press(source.read, str(SHIPPED / INSTALL))
        return _Kit(press, template, url, report, told, variables)


def template_of(source: Source) -> str:
    """The file with the template of an image. Raises DefinitionError when there is none."""
    found = source.lists("template")
    if len(found) != 1:
        kind = source.kind
        name = f"{kind.distribution}/{kind.profile}.tmpl"
        raise DefinitionError(
            f"osimage {source.name} has no template of the installer's answers: put {name} into "
            f"{source.installdir}/custom/{INSTALL}, or chdef -t osimage {source.name} template=FILE"
        )
    return found[0]


def names(blocks: Iterable[Transaction]) -> list[str]:
    """The packages that are installed."""
    return [entry.name for block in blocks for entry in block.install]


def pkglist(source: Source, usual: list[str], file: str = "") -> Ready:
    """The packages of a list, or of the image's own: one a line, as kickstart has them."""
    if file:
        listed(file, "a pkglist")
        usual = names(read_pkglist((file,), source.read, source.variables))
    return Ready("\n".join(usual))


@dataclass(frozen=True, slots=True)
class _Kit:
    """What holds for all nodes with the same image and servers."""

    press: Press
    template: str
    #: Where a node's files come from.
    url: str
    reports_to: str
    values: Mapping[str, Any]
    variables: Mapping[str, str]
