"""Templates of installers' answers: jinja2, and xCAT's words as core.autoinst.xcatwords translates them.

Each file is read and compiled once for a press. Whatever is wrong in one is told with its file and line.
"""

import posixpath
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.autoinst.values import Ready, as_json, plain, shell
from core.autoinst.xcatwords import INCLUDED, is_xcat, to_jinja
from core.errors import DefinitionError, ServalError

#: The text of a file by its absolute path. Raises OSError or UnicodeDecodeError.
Reader = Callable[[str], str]


def _together(pieces: Iterable[str]) -> Ready:
    """What a block or a macro wrote: every value in it has been looked at."""
    return Ready("".join(pieces))


class _Loader(BaseLoader):
    def __init__(self, read: Reader) -> None:
        self._read = read
        #: Files that were asked for.
        self.files: set[str] = set()

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        file = template.removeprefix(INCLUDED)
        self.files.add(file)
        try:
            text = self._read(file)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise TemplateNotFound(file, f"{file} cannot be read: {why}") from error
        return (to_jinja(text, file) if template != file or is_xcat(text) else text), file, None


class _Environment(ImmutableSandboxedEnvironment):
    #: Blocks and macros come out as texts that need no second look.
    concat = staticmethod(_together)

    def __init__(self, loader: _Loader, read: Reader, shipped: str) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=plain,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._read, self._shipped = read, shipped
        self.filters |= {"shell": shell, "json": as_json, "tojson": as_json}

    def join_path(self, template: str, parent: str) -> str:
        """A file beside the one that names it, or else among those that are shipped."""
        name = template.removeprefix(INCLUDED)
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(parent.removeprefix(INCLUDED)), name))
        shipped = posixpath.normpath(posixpath.join(self._shipped, name.lstrip("/")))
        found = beside if self._exists(beside) or not shipped.startswith(f"{self._shipped}/") else shipped
        return template.removesuffix(name) + found

    def _exists(self, file: str) -> bool:
        try:
            self._read(file)
        except OSError:
            return False
        except UnicodeDecodeError:
            return True
        return True


class Press:
    """Renders templates; one for a command."""

    def __init__(self, read: Reader, shipped: str) -> None:
        """`shipped` is the folder of templates that any other may extend or include by their path in it."""
        self._loader = _Loader(read)
        self._environment = _Environment(self._loader, read, shipped)

    def render(self, file: str, values: Mapping[str, Any]) -> str:
        """The text of a template with these values. Raises DefinitionError, naming file and line."""
        try:
            return self._environment.get_template(file).render(values)
        except TemplateSyntaxError as error:
            where = f"{error.filename or file}, line {error.lineno}"
            raise DefinitionError(f"{where}: {error.message}") from error
        except RecursionError as error:
            raise DefinitionError(f"{file}: the templates include one another") from error
        except (TemplateError, ServalError) as error:
            raise DefinitionError(f"{self._place(error)}{error.message}") from error
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise DefinitionError(f"{self._place(error)}{error}") from error

    def _place(self, error: Exception) -> str:
        """Where in a template something failed; a file that could not be translated says so itself."""
        frames = traceback.extract_tb(error.__traceback__)
        places = [
            f"{one.filename}, line {one.lineno}: " for one in frames if one.filename in self._loader.files
        ]
        return places[-1] if places else ""
