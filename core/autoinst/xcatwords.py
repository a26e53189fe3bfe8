"""xCAT's words in templates of installers' answers, `#TABLE:noderes:$NODE:xcatmaster#` (xCAT's Template.pm).

A file that holds any of them, or that #INCLUDE:…# names, is xCAT's: braces are text in it. Every other one is
jinja2. A file of xCAT is translated line for line, so that errors name its lines.
"""

import re

from core.errors import DefinitionError

#: Words with something behind a colon; an #ENV:…# may stand in it.
_WITH = (
    "TABLE", "TABLEBLANKOKAY", "XCATVAR", "ENV", "CRYPT", "INCLUDE", "INCLUDE_PKGLIST", "COMMAND",
    "INCLUDE_NOP", "INCLUDE_PTRNLIST", "INCLUDE_RMPKGLIST",
)  # fmt: skip
#: Words that stand alone.
_ALONE = (
    "HOSTNAME", "INCLUDE_DEFAULT_PKGLIST", "INCLUDE_DEFAULT_PKGLIST_PRESEED", "INCLUDE_DEFAULT_PTRNLIST",
    "INCLUDE_DEFAULT_RMPKGLIST", "INCLUDE_OSIMAGE_PKGDIR",
)  # fmt: skip
_WORD = re.compile(
    rf"#({'|'.join(sorted(_WITH, key=len, reverse=True))}):((?:#ENV:\w+#|[^#\n])*)#"
    rf"|#({'|'.join(sorted(_ALONE, key=len, reverse=True))})#"
)
#: Before the name of a file that is xCAT's because xCAT's word includes it.
INCLUDED = "xcat:"
_ENV = re.compile(r"#ENV:(\w+)#")
_NAME = re.compile(r"\w+")
#: What jinja2 would take for its own; behind a piece of text one of its expressions may follow.
_BRACES = re.compile(r"\{(?=[{%#]|\Z)")
_BRACE = "{{ '{' }}"
_SIMPLE = {
    "HOSTNAME": "{{ node }}",
    "INCLUDE_DEFAULT_PKGLIST": "{{ pkglist() }}",
    "INCLUDE_DEFAULT_PKGLIST_PRESEED": "{{ packages | join(' ') }}",
}


def is_xcat(text: str) -> bool:
    """Whether a template is one of xCAT."""
    return _WORD.search(text) is not None


def to_jinja(text: str, file: str) -> str:
    """The same as jinja2, each line in its place. Raises DefinitionError, naming file and line."""
    pieces, end = [], 0
    for found in _WORD.finditer(text):
        pieces.append(_BRACES.sub(_BRACE, text[end : found.start()]))
        try:
            pieces.append(_translated(found))
        except DefinitionError as error:
            line = text.count("\n", 0, found.start()) + 1
            raise DefinitionError(f"{file}, line {line}: {error.message}") from None
        end = found.end()
    return "".join([*pieces, _BRACES.sub(_BRACE, text[end:])])


def _translated(found: re.Match[str]) -> str:
    """One word. Raises DefinitionError for what is not done."""
    word, behind, alone = found.groups()
    if alone:
        if alone not in _SIMPLE:
            raise DefinitionError(f"#{alone}# is not known to Serval: list packages in a pkglist")
        return _SIMPLE[alone]
    match word:
        case "TABLE" | "TABLEBLANKOKAY" | "CRYPT":
            table, key, column = _three(word, behind)
            function = "crypt" if word == "CRYPT" else "table"
            default = ", ''" if word == "TABLEBLANKOKAY" else ""
            return f"{{{{ {function}({table!a}, {key!a}, {column!a}{default}) }}}}"
        case "XCATVAR" | "ENV":
            if not _NAME.fullmatch(behind):
                raise DefinitionError(f"{found[0][:80]}: write #{word}:NAME#")
            return f"{{{{ {'env' if word == 'ENV' else 'xcatvar'}({behind!a}) }}}}"
        case "INCLUDE":
            return f"{{% include {INCLUDED!a} ~ {_path(behind)} %}}"
        case "INCLUDE_PKGLIST":
            return f"{{{{ pkglist({_path(behind)}) }}}}"
        case "COMMAND":
            raise DefinitionError(
                f"{found[0][:80]}: no command is run for a template; put what it says into a table"
            )
        case _:
            raise DefinitionError(f"{found[0][:80]} is not known to Serval")


def _three(word: str, behind: str) -> tuple[str, str, str]:
    """Table, key and column; the key may hold colons."""
    table, _, rest = behind.partition(":")
    key, _, column = rest.rpartition(":")
    if not (_NAME.fullmatch(table) and key and _NAME.fullmatch(column)):
        raise DefinitionError(f"#{word}:{behind[:80]}#: write #{word}:TABLE:KEY:COLUMN#")
    return table, key, column


def _path(text: str) -> str:
    """A path with #ENV:…# in it, as an expression."""
    if not text.strip():
        raise DefinitionError("#INCLUDE:# names no file")
    pieces = _ENV.split(text.strip())
    words = [
        f"env({piece!a})" if number % 2 else ascii(piece) for number, piece in enumerate(pieces) if piece
    ]
    return f"({' ~ '.join(words)})"
