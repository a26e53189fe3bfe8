"""Writes docs/reference from the code: the commands from their --help, the tables from their columns.

Run by `make docs`; `tests/integration/test_reference.py` checks that the result is current.
"""

import io
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cli.context import Context  # noqa: E402
from cli.entry import run  # noqa: E402
from db.tables import DOCS, TABLES  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by docs/generate.py; change the code instead. -->\n"
#: How argparse lists sub-commands: all in one pair of braces, and one a line.
BRACES = re.compile(r"\{([\w,-]+)\}")
LISTED = re.compile(r"^ {2,4}([a-z][\w-]+) {2,}\S", re.MULTILINE)


def tables() -> str:
    """The page of all xCAT tables."""
    parts = ["# Tables\n", NOTE, "Every column is text; `tabdump -d TABLE` prints the same.\n"]
    for name, table in sorted(TABLES.items()):
        parts.append(f"## {name}\n\n{DOCS[name]}\n\n| column | meaning |\n|---|---|")
        for column in table.columns:
            key = " (key)" if column.primary_key else ""
            parts.append(f"| `{column.name}`{key} | {cell(column.doc or '')} |")
        parts.append("")
    return "\n".join(parts)


def cell(text: str) -> str:
    """A text as one cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def commands() -> str:
    """The page of all commands."""
    parts = ["# Commands\n", NOTE]
    for words, text in helps():
        parts.append(f"## {' '.join(words)}\n\n```\n{text.strip()}\n```\n")
    return "\n".join(parts)


def helps() -> Iterator[tuple[list[str], str]]:
    """Every command, and every sub-command of serval, with its --help."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    # argparse looks at the width of this process's own terminal.
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, COLUMNS="100"):
        env = {"SERVAL_HOME": home}
        for command in sorted(scripts):
            text = help_of([command], env)
            yield [command], text
            for word in subcommands(text) if command == "serval" else ():
                yield [command, word], help_of([command, word], env)


def subcommands(text: str) -> list[str]:
    """The sub-commands that a --help names."""
    found = BRACES.search(text)
    return found[1].split(",") if found else LISTED.findall(text)


def help_of(words: list[str], env: Mapping[str, str]) -> str:
    """What `words --help` prints for somebody with an empty SERVAL_HOME."""
    out, err = io.StringIO(), io.StringIO()
    ctx = Context(out, err, io.StringIO(), env, Path(env["SERVAL_HOME"]), "reader", terminal=False)
    if run(words[0], [*words[1:], "--help"], ctx) != 0:
        raise SystemExit(f"{' '.join(words)} --help failed: {err.getvalue().strip()}")
    return out.getvalue().replace(env["SERVAL_HOME"], "$SERVAL_HOME")


PAGES = {"tables.md": tables, "commands.md": commands}


def main() -> None:
    """Write all pages anew."""
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
