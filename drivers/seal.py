"""Sealing credentials to one host: libsodium's sealed box, through PyNaCl (PROTOCOL rule 20).

Whoever has the public key can seal, only the host with the private key can open. The sealed text is bound to
no sender: who may write attempts is the database's business.
"""

import binascii
import os
import re
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from core.errors import RequestError

#: A host's name as part of a file name; nothing that could climb out of the folder.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def make_key(folder: Path, name: str) -> str:
    """The public key of host `name` as text; its private key is made in `folder` at the first call.

    The private file is readable by its owner alone and is never replaced. Raises RequestError when `name` is
    no host name or the file cannot be written or read.
    """
    file = key_file(folder, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            write_once(file, b64encode(bytes(PrivateKey.generate())))
    except OSError as error:
        raise RequestError(f"{file}: the private key cannot be written: {error.strerror}") from error
    return b64encode(bytes(load_key(file).public_key)).decode("ascii")


def seal(public: str, plain: bytes) -> str:
    """`plain` as text that only the owner of `public` can open. Raises RequestError when that is no key."""
    try:
        key = PublicKey(b64decode(public, validate=True))
    except (binascii.Error, ValueError, CryptoError) as error:
        raise RequestError(f"not a public key: {public[:60]!r}") from error
    return b64encode(SealedBox(key).encrypt(plain)).decode("ascii")


def open_sealed(folder: Path, name: str, text: str) -> bytes:
    """What was sealed for host `name`.

    Raises RequestError when its key is missing, or when `text` was damaged or sealed for another host.
    """
    key = load_key(key_file(folder, name))
    try:
        return bytes(SealedBox(key).decrypt(b64decode(text, validate=True)))
    except (binascii.Error, ValueError, CryptoError) as error:
        raise RequestError(
            f"the credentials cannot be opened with the key of {name}: they were damaged, or sealed for "
            f"another key. Start the worker of {name} again, so that it announces the key it has"
        ) from error


def key_file(folder: Path, name: str) -> Path:
    """Where the private key of `name` is kept."""
    if not NAME.fullmatch(name):
        raise RequestError(f"{name!r} is no host name")
    return folder / f"{name}.key"


def load_key(file: Path) -> PrivateKey:
    """The private key in `file`."""
    try:
        return PrivateKey(b64decode(file.read_bytes(), validate=True))
    except OSError as error:
        raise RequestError(f"{file}: the private key cannot be read: {error.strerror}") from error
    except (binascii.Error, ValueError, CryptoError) as error:
        raise RequestError(f"{file}: this is no private key of Serval") from error


def write_once(file: Path, content: bytes) -> None:
    """Write a private file as a whole, unless another process was faster; that one's content stays."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # the other process's key is as good as ours
            os.link(fresh, file)
    finally:
        fresh.unlink()
