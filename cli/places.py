"""Which commands a service node runs itself, and which belong to the management node (docs/adr/0011).

What is not named here goes to the management node: whatever writes, makes a job, or is new. The management
node looks here too, and does nothing for a service node that reads: it would read with more rights.
"""

from cli.client import LOCAL
from core.errors import RequestError

#: What only reads, and what is about the processes and files of the host where it was typed.
#: A command that shows passwords belongs here, or a service node could ask the management node for them.
HERE = frozenset(
    ["lsdef", "nodels", "tabdump", "gettab", "tabgrep", "lsxcatd", "dumpxCATdb", "serval"]
    + [f"serval {word}" for word in LOCAL - {"import-xcat"}]
    + [f"serval {word}" for word in ("jobs", "job", "watch", "why", "sn", "images")]
)
#: What writes in spite of its first word.
WRITING = frozenset({"serval sn forget", "serval sn drain", "serval sn undrain"})
#: What needs files, or an editor, of the host that may write: command → what to do instead.
MN_ALONE = {
    "restorexCATdb": "",
    "copycds": "",
    "serval import-xcat": "",
    "imgexport": "",
    "imgimport": "",
    "tabedit": " (here you can write a table with tabdump -f, edit it and give it to tabrestore)",
}


def is_here(name: str, argv: list[str]) -> bool:
    """Whether a service node runs this command itself."""
    kind, words = _kind(name, argv)
    looks = kind == "serval images" and "--look" in argv
    return kind in HERE and words not in WRITING and not looks


def refuse_mn_alone(name: str, argv: list[str]) -> None:
    """Raises RequestError for what nobody can ask the management node for from elsewhere."""
    kind, _ = _kind(name, argv)
    if kind in MN_ALONE:
        raise RequestError(f"{kind} works on the management node alone: run it there{MN_ALONE[kind]}")


def _kind(name: str, argv: list[str]) -> tuple[str, str]:
    """`serval sn` and `serval sn forget`; of other commands the name, twice."""
    words = [word for word in argv if not word.startswith("-")] if name == "serval" else []
    return " ".join([name, *words[:1]]), " ".join([name, *words[:2]])
