"""What one node's installer is told: the document that nodeset renders once, and every service node serves.

It lies below /install/autoinst, which nginx serves with the address that the node asked in place of SERVER:
so every member of a pool has the same files, and each names itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import NodeError, RequestError

#: Below site.installdir.
FOLDER = "autoinst"
#: In the files: the address of whoever serves them.
SERVER = "@SERVAL_SERVER@"
#: What cloud-init reads lies in this folder, in one for each node.
NOCLOUD = "nocloud"
#: Below site.installdir: the programs that installers run.
PROGRAMS = "serval"


@dataclass(frozen=True, slots=True)
class AnswerDoc:
    """The files of one node by their path below FOLDER."""

    node: str
    files: Mapping[str, str]

    def to_text(self) -> str:
        """As JSON, the same for equal documents."""
        return json.dumps({"node": self.node, "files": dict(self.files)})


def from_text(text: str) -> AnswerDoc:
    """The document that `to_text` wrote. Raises RequestError when it is none."""
    try:
        told = json.loads(text)
        files = told["files"]
        if not all(isinstance(word, str) for pair in files.items() for word in pair):
            raise TypeError("its files are not texts")
        return AnswerDoc(str(told["node"]), files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"a document of installer's answers cannot be read: {error}") from error


def answers_path(family: str, node: str) -> str:
    """Where a node's installer finds its answers, below site.installdir; Ubuntu's wants a folder."""
    return f"{FOLDER}/{NOCLOUD}/{node}" if family == "ubuntu" else f"{FOLDER}/{node}"


def answers(family: str, node: str, text: str) -> AnswerDoc:
    """The document of a node from its rendered template. Raises NodeError for what no installer reads."""
    if node == NOCLOUD:
        raise NodeError(f"a node that is installed cannot be called {NOCLOUD}: the folder of others is")
    if family != "ubuntu":
        return AnswerDoc(node, {node: text})
    if not text.startswith("#cloud-config\n"):
        raise NodeError("its template does not begin with #cloud-config: Ubuntu's installer reads no other")
    meta = f"instance-id: {json.dumps(node)}\nlocal-hostname: {json.dumps(node)}\n"
    return AnswerDoc(node, {f"{NOCLOUD}/{node}/user-data": text, f"{NOCLOUD}/{node}/meta-data": meta})


def written(node: str, text: str) -> Mapping[str, str]:
    """The files that a document asks for. Raises RequestError, NodeError when it is not this node's."""
    found = from_text(text)
    own = {node, f"{NOCLOUD}/{node}/user-data", f"{NOCLOUD}/{node}/meta-data"}
    if found.node != node or not found.files.keys() <= own or "/" in node or node in ("", ".", "..", NOCLOUD):
        raise NodeError("its document of installer's answers is not its own")
    return found.files
