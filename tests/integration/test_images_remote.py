"""genimage on another machine: a real sshd, and the real dnf behind it."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from imagesite import NAME, image_site, sqlite_env
from ssh_rig import Sshd, sshd
from test_images_dnf import recipe, repositories  # noqa: F401  a fixture

from core.errors import DefinitionError, RequestError, ServalError, UnavailableError
from core.images.sources import Kind
from drivers.images.jail import Cancelled, Jail
from drivers.images.recipe import Recipe
from drivers.images.remote import build_on
from drivers.images.shelf import Shelf
from drivers.images.sshname import login
from routing.imaging import genimage

SCRIPT = '#!/bin/sh\necho "$IMG_NAME $2 $4 $5" > "$1/etc/said"\nchown 1234:5678 "$1/etc/said"\n'
#: Hides a program from whoever is started behind it.
WITHOUT = ("unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"')


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "sshd") as running:
        yield running


def scripted(made: Recipe, tmp_path: Path, text: str) -> Recipe:
    """The recipe with a postinstall script."""
    script = tmp_path / "script"
    script.write_text(text)
    script.chmod(0o700)
    return replace(made, scripts=((str(script), "own"),), variables={"IMG_NAME": "x y"})


def built(far: Sshd, made: Recipe, tmp_path: Path, steps: list[str]) -> bool:
    """Build; whether there was nothing to do."""
    with (tmp_path / "log").open("ab") as log:
        jail = Jail(log)
        return build_on(
            far.login, made, tmp_path / "image", jail, lambda _, said: steps.append(said)
        ).unchanged


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_image_is_built_on_another_machine(far: Sshd, repositories: Path, tmp_path: Path) -> None:  # noqa: F811
    made = scripted(recipe(repositories, "#ENV:KEY=value#\ntool", "site/extra"), tmp_path, SCRIPT)
    steps: list[str] = []
    assert not built(far, made, tmp_path, steps)
    shelf = Shelf(tmp_path / "image")
    packages = {"filesystem", "busybox", "kernel", "dracut", "tool", "unwanted", "extra"}
    assert set(shelf.record().packages) == packages
    assert (shelf.root / "etc/tool.said").read_text() == "value\n"
    said = shelf.root / "etc/said"
    assert (said.read_text(), said.stat().st_uid, said.stat().st_gid) == (
        "x y rocky9.4 compute own\n",
        1234,
        5678,
    )
    assert (shelf.root / "bin/sh").readlink() == Path("busybox")
    assert (shelf.folder / "initrd-stateless.gz").read_text() == "i\n"
    assert {path.name for path in shelf.folder.iterdir()} == {
        "rootimg", "kernel", "initrd-stateless.gz", "image.json", ".lock",
    }  # fmt: skip
    assert f"{far.login}: initial RAM disk" in steps
    assert "--installroot" in (tmp_path / "log").read_text()
    assert not list(far.far.iterdir())
    assert built(far, made, tmp_path, steps), "the second time there is nothing to do"


def test_what_is_wrong_there_is_said_with_its_name(far: Sshd, repositories: Path, tmp_path: Path) -> None:  # noqa: F811
    good = recipe(repositories, "tool")
    wrong: list[tuple[Recipe, type[ServalError], str]] = [
        (replace(good, kind=Kind("rocky9.4", "s390x", "compute")), DefinitionError, "the image is for s390x"),
        (replace(good, sources=("/no/media",)), DefinitionError, "there is no /no/media: mount it"),
        (recipe(repositories, "tool\nnone"), DefinitionError, "/l, line 2: there is no package none"),
        (scripted(good, tmp_path, "#!/bin/sh\nexit 3\n"), UnavailableError, "0-script ended with status 3"),
    ]
    for made, kind, said in wrong:
        with pytest.raises(kind, match=said) as raised:
            built(far, made, tmp_path, [])
        assert str(far.login) in raised.value.message
    assert {path.name for path in (tmp_path / "image").iterdir()} == {".lock"}
    until(lambda: not list(far.far.iterdir()))


def test_a_program_that_is_missing_there(repositories: Path, tmp_path: Path) -> None:  # noqa: F811
    hidden = str(Path("/usr/bin/dnf").resolve())
    for name, where, said in (
        ("dnf", sshd(tmp_path / "dnf", (*WITHOUT, hidden)), "dnf is not installed; as root: apt-get"),
        ("python", sshd(tmp_path / "python", path="/nowhere"), "python3 is not installed there"),
    ):
        with where as far:
            with pytest.raises(UnavailableError, match=said):
                built(far, recipe(repositories, "tool"), tmp_path, [])
            assert not list(far.far.iterdir()), name


def test_who_may_not_log_in(far: Sshd, repositories: Path, tmp_path: Path) -> None:  # noqa: F811
    known, keys = far.login.folder / "known_hosts", far.login.folder / "id_ed25519"

    def refused(said: str) -> None:
        with pytest.raises(UnavailableError, match=said):
            built(far, recipe(repositories, "tool"), tmp_path, [])

    right = known.read_text()
    known.write_text(right.replace(right.split()[2], (far.top / "other.pub").read_text().split()[1]))
    refused("shows another host key")
    known.write_text("")
    refused("is not in .*known_hosts")
    known.write_text(right)
    (far.top / "other").rename(keys)
    refused("lets root in with none of the keys")
    keys.unlink()
    refused("has none")
    with pytest.raises(UnavailableError, match="cannot be reached by ssh"):
        built(replace(far, port=1), recipe(repositories, "tool"), tmp_path, [])
    for text in ("", "user@host", "host:0", "host:99999", "-oProxyCommand=x", "a b", "h\n"):
        with pytest.raises(RequestError, match="no host to log in to"):
            login(text)


@pytest.mark.parametrize("how", ["cancelled", "cut", "killed"])
def test_a_build_that_is_ended_leaves_nothing(
    far: Sshd,
    repositories: Path,  # noqa: F811
    tmp_path: Path,
    how: str,
) -> None:
    running = tmp_path / "running"
    made = scripted(recipe(repositories, "tool"), tmp_path, f"#!/bin/sh\necho $$ > {running}\nsleep 1000\n")
    stop = threading.Event()

    def end() -> None:
        until(running.exists)
        if how == "cancelled":
            stop.set()
        elif how == "cut":
            far.cut()
        else:
            os.kill(builder(far), signal.SIGKILL)

    ender = threading.Thread(target=end)
    ender.start()
    with (tmp_path / "log").open("ab") as log, pytest.raises(ServalError) as raised:
        build_on(far.login, made, tmp_path / "image", Jail(log, stop.is_set), lambda *_: None)
    ender.join()
    assert isinstance(raised.value, Cancelled) == (how == "cancelled"), raised.value
    assert {path.name for path in (tmp_path / "image").iterdir()} == {".lock"}
    until(lambda: not sleeping(tmp_path))
    if how == "killed":
        assert list(far.far.iterdir()), "nobody is there to remove it"
        built(far, recipe(repositories, "tool"), tmp_path, [])
    until(lambda: not list(far.far.iterdir()))


def test_the_command_says_what_cannot_be(sqlite_template: Path, tmp_path: Path) -> None:
    site = image_site(sqlite_env(sqlite_template, tmp_path), tmp_path)
    site.lay_down()
    lists = site.install / "custom/netboot/debian"
    lists.mkdir(parents=True)
    (lists / "compute.pkglist").write_text("bash\n")
    for words, said in (
        ("--on 'a b'", "no host to log in to"),
        ("--on host --onlyinitrd", "--on builds from nothing"),
    ):
        assert said in site.shell.run(f"genimage {NAME} {words}").err
    with pytest.raises(RequestError, match=r"127.0.0.1:1 cannot be reached by ssh: .*serval log"):
        site.do("genimage", genimage, image=NAME, on="127.0.0.1:1")
    assert {"kernel", "rootimg"} <= site.visible()


def builder(far: Sshd) -> int:
    """The Python of the other side."""
    folder = next(far.far.iterdir())
    for place in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if place.readlink() == folder:
                return int(place.parts[2])
        except OSError:
            continue
    raise AssertionError("nobody holds the folder")


def sleeping(tmp_path: Path) -> list[str]:
    """Processes of the script."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        if os.fsencode(tmp_path) in words and b"script" in words:
            found.append(place.parts[2])
    return found
