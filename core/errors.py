"""Every error Serval raises, in one small tree.

    ServalError
    ├── RequestError            what was asked cannot be done as asked; nothing ran
    │   ├── NoderangeError      a noderange that cannot be read, or names that do not exist
    │   └── DefinitionError     an object, attribute or table value that is not what it should be
    ├── UnavailableError        Redis, the database or a worker is not there
    ├── NodeError               of the node: another service node would answer the same, so it is final
    │   ├── NoBmcAddress        the tables name no BMC for the node
    │   ├── BmcAuthError        the BMC refused the user or the password
    │   ├── BmcRefused          the BMC understood the command and said no
    │   └── UnsupportedAction   this node's hardware control cannot do it
    └── WayError                of the way: the next service node of the pool is tried
        ├── BmcSilent           the BMC did not answer this service node
        └── ServiceNodeLost     the service node stopped giving signs of life

Each class takes its message as the only argument, so it survives `cls(*error.args)` between processes.
"""


class ServalError(Exception):
    """Something Serval can name; its text is the sentence an administrator reads."""

    @property
    def message(self) -> str:
        """The sentence, without the class."""
        return str(self.args[0]) if self.args else self.__doc__ or type(self).__name__


class RequestError(ServalError):
    """What was asked cannot be done as asked; nothing ran."""


class NoderangeError(RequestError):
    """A noderange cannot be read, or names nodes that do not exist."""


class DefinitionError(RequestError):
    """An object, attribute or table value is not what it should be."""


class UnavailableError(ServalError):
    """Redis, the database or a worker is not there."""


class NodeError(ServalError):
    """Of the node: final, because every service node would answer the same."""


class NoBmcAddress(NodeError):
    """The tables name no BMC for the node."""


class BmcAuthError(NodeError):
    """The BMC refused the user or the password."""


class BmcRefused(NodeError):
    """The BMC understood the command and refused it."""


class UnsupportedAction(NodeError):
    """The node's hardware control cannot do what was asked."""


class WayError(ServalError):
    """Of the way: the next service node of the pool is tried."""


class BmcSilent(WayError):
    """The BMC did not answer this service node."""


class ServiceNodeLost(WayError):
    """The service node stopped giving signs of life."""
