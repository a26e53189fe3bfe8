"""nodeset's question to the service nodes: does one member of each pool have the image that its nodes boot?

Asked once for each image and pool, whatever the number of nodes.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from core.dhcpplan import same_host
from core.errors import RequestError
from core.imagedoc import Copy, ImageDoc, Stand, failed
from core.nodeset.cmdline import Place
from core.nodeset.decide import Decision
from core.nodeset.images import Image
from core.nodeset.words import Step, Word
from db.bootvalues import BootValues
from db.engine import Connection
from db.home import Home
from routing.imagewishes import Standing, asked_again, copied_as, document, mounted, standing

Pool = tuple[str, ...]


@dataclass(slots=True)
class Needs:
    """What nodeset has to know of images."""

    #: osimage → who shall have it, and what.
    wishes: dict[str, tuple[set[str], ImageDoc]] = field(default_factory=dict)
    #: Image and pool of which no member has it.
    lacking: list[tuple[str, Pool]] = field(default_factory=list)
    #: node → sentence: nobody of its pool has its image.
    refused: dict[str, str] = field(default_factory=dict)
    #: Member, sentence and nodes: others have the image, this one does not.
    behind: list[tuple[str, str, Sequence[str]]] = field(default_factory=list)


def needs(
    connection: Connection,
    home: Home,
    values: BootValues,
    chain: Sequence[Word],
    decisions: Mapping[str, Decision],
    pools: Mapping[str, Sequence[str]],
) -> Needs:
    """What these nodes need of images. Raises UnavailableError when an image cannot be read."""
    found, shared = Needs(), mounted(values.site)
    groups = users(values.images, decisions, pools, values.place)
    later = {word.value for word in chain[1:] if word.step is Step.OSIMAGE and word.value in values.images}
    asked = {name: values.images[name] for name in later} | {one.imagename: one for one, _ in groups.values()}
    names = {_name(image, values.place) for image in asked.values()} | groups.keys()
    known = standing(connection, names) if names else {}
    done: set[str] = set()
    for image in sorted(asked.values(), key=lambda one: one.imagename):
        name = _name(image, values.place)
        old, (_, nodes_of) = known.get(name), groups.get(name, (image, {}))
        if name in done:
            continue
        done.add(name)
        try:
            doc = document(image, values.place, home, old.doc if old else None, shared=shared)
        except RequestError as error:
            far = {pool: nodes for pool, nodes in nodes_of.items() if not _has_mn(pool, home.mn)}
            found.refused |= {node: error.message for nodes in far.values() for node in nodes}
            continue
        if doc is None:
            continue
        for pool, nodes in nodes_of.items():
            if not shared:
                _ask(found, doc, old, pool, nodes, home.mn)
        _wish(found, doc, old, nodes_of or {tuple(pools[node]) for node in decisions}, home.mn)
    return found


def _name(image: Image, place: Place) -> str:
    """The name of its document; its own where its definition does not allow one."""
    try:
        return copied_as(image, place)
    except RequestError:
        return image.imagename


def _has_mn(pool: Pool, mn: str) -> bool:
    return any(same_host(member, mn) for member in pool)


def users(
    images: Mapping[str, Image],
    decisions: Mapping[str, Decision],
    pools: Mapping[str, Sequence[str]],
    place: Place,
) -> dict[str, tuple[Image, dict[Pool, list[str]]]]:
    """Name of a document → an image of it, and pool → nodes that boot it now."""
    found: dict[str, tuple[Image, dict[Pool, list[str]]]] = {}
    names: dict[str, str] = {}
    for node, decision in decisions.items():
        if image := images.get(decision.nodetype.get("provmethod", "")):
            name = names.get(image.imagename) or names.setdefault(image.imagename, _name(image, place))
            _, of = found.setdefault(name, (image, {}))
            of.setdefault(tuple(pools[node]), []).append(node)
    return found


def copy_of(copies: Mapping[str, Copy], member: str) -> Copy | None:
    """What a member says, under whatever of its names."""
    return next((one for name, one in copies.items() if same_host(name, member)), None)


def having(pool: Pool, doc: ImageDoc, copies: Mapping[str, Copy], mn: str) -> list[str]:
    """The members that have the image; the management node is where it comes from."""
    return [
        member
        for member in pool
        if same_host(member, mn)
        or ((one := copy_of(copies, member)) and one.stand(doc.version) is Stand.CURRENT)
    ]


def failing(pool: Pool, doc: ImageDoc, copies: Mapping[str, Copy]) -> list[str]:
    """The members that have failed since somebody asked last."""
    return failed(pool, {member: one for member in pool if (one := copy_of(copies, member))}, doc)


def _ask(
    found: Needs, doc: ImageDoc, old: Standing | None, pool: Pool, nodes: Sequence[str], mn: str
) -> None:
    copies = old.copies if old else {}
    have = having(pool, doc, copies, mn)
    for member in pool:
        if member not in have:
            said = f"{member} does not have {doc.title} yet ({_brief(doc, copies, member)})"
            found.behind.append((member, said, nodes))
    if not have:
        found.behind = found.behind[: -len(pool)]
        found.lacking.append((doc.image, pool))
        found.refused |= dict.fromkeys(nodes, _nobody(doc, copies, pool))


def _wish(found: Needs, doc: ImageDoc, old: Standing | None, asking: Iterable[Pool], mn: str) -> None:
    more = {member for pool in asking for member in pool if not same_host(member, mn)}
    if old and any(failing(pool, doc, old.copies) for image, pool in found.lacking if image == doc.image):
        doc = asked_again(doc, time.time())
    if more:
        found.wishes[doc.image] = {mn, *more}, doc


def _nobody(doc: ImageDoc, copies: Mapping[str, Copy], pool: Pool) -> str:
    told = "; ".join(f"{member}: {_brief(doc, copies, member)}" for member in pool)
    return (
        f"no service node of its pool has {doc.title} as it is now ({told}). It is on its way: "
        f"serval images {doc.image} shows how far, and nodeset --wait waits for the first of them"
    )


def _brief(doc: ImageDoc, copies: Mapping[str, Copy], member: str) -> str:
    one = copy_of(copies, member)
    return one.brief(doc.version) if one else str(Stand.NONE)
