"""The release of this Serval; pyproject.toml takes it from here, the client of the command server too.

`importlib.metadata` knows it as well, but costs a command 30 ms.
"""

RELEASE = "0.1.0"
