"""Images of a real Debian: built by mmdebstrap from its mirror, packed, built again, broken on purpose."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

import pytest
from qemu_rig import booted
from sqlalchemy import insert

from core.errors import DefinitionError, RequestError, ServalError
from core.images.pkglist import Entry, Transaction
from core.images.sources import Kind
from core.syncspec import Mode
from db import events, jobs
from db.engine import Engine, open_engine, reading, writing
from db.home import Home, make_home
from db.images import write_image
from db.tables import TABLES
from drivers.images.build import explained
from drivers.images.debian import Debian, refuse_unknown
from drivers.images.jail import Cancelled, Failed, Jail
from drivers.images.recipe import Recipe
from drivers.images.shelf import Shelf, sweep
from routing.imageexport import imgexport
from routing.imageimport import imgimport
from routing.imaging import build_log, genimage, packimage
from routing.osimages import recipe, source
from routing.spread import SpreadAsk, new_job
from routing.syncing import Order

NAME = "debian12-x86_64-netboot-compute"
CRYPTED = "$6$abcdefgh$" + "x" * 86
#: For a machine with two cores that many tests share.
BOOT_S = 300
LISTS = {
    "compute.pkglist": "linux-image-cloud-amd64\n#INCLUDE:more.$IMG_ARCH#\n#NEW_INSTALL_LIST#\n-nano,--less",
    "more.x86_64": "less,jq\n",
    "compute.exlist": "./usr/share/doc*\n+./usr/share/doc/bash/copyright\n./boot/*\n./var/cache/*\n",
}


@dataclass
class Builder:
    """A management node with one osimage, and lists of its own."""

    home: Home
    engine: Engine
    jobs: int = 0
    details: dict[str, str] = field(default_factory=lambda: {"image": NAME})

    @property
    def lists(self) -> Path:
        """Where the site keeps its lists."""
        return self.home.root / "install/custom/netboot/debian"

    @property
    def folder(self) -> Path:
        """rootimgdir."""
        return self.home.root / "install/netboot/debian12/x86_64/compute"

    def order(self, **details: str) -> Order:
        """A new job, as the worker gets it."""
        self.jobs += 1
        ask = SpreadAsk(str(self.jobs), "genimage", "genimage", "t", ("genimage",), {"mn1": ("mn1",)})
        with writing(self.engine) as connection:
            number = jobs.enter(connection, new_job(ask), time.time())
        return Order(self.home, self.engine, ["mn1"], Mode.APPLY, number, 0, self.details | details)

    def steps(self, order: Order) -> list[str]:
        """What the job said of its progress."""
        with reading(self.engine) as connection:
            return [one.message for one in events.of_job(connection, order.job)]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Builder]:
    top = tmp_path_factory.mktemp("images")
    make_home(top / "home")
    url = f"sqlite:///{top / 'serval.db'}"
    (top / "serval.db").write_bytes(sqlite_template.read_bytes())
    home = Home(top / "home", url, None, "mn1", "mn1", root=top / "root")
    made = Builder(home, open_engine(url))
    made.lists.mkdir(parents=True)
    for name, text in LISTS.items():
        (made.lists / name).write_text(text)
    values = {"osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "netboot"}
    with writing(made.engine) as connection:
        write_image(connection, NAME, values)
        connection.execute(insert(TABLES["passwd"]).values(key="system", username="root", password=CRYPTED))
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def built(builder: Builder) -> Builder:
    """The same, with its image built."""
    order = builder.order()
    said = genimage(order)
    assert "packages in" in said.texts["mn1"]
    steps = builder.steps(order)
    assert [steps[0], steps[-1]] == ["2 % base system", "97 % removing what it replaces"]
    assert "+ dracut" in build_log(builder.home, order.job).read_text(errors="replace")
    return builder


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


@pytest.mark.slow
def test_an_image_has_what_its_lists_say(built: Builder) -> None:
    shelf = Shelf(built.folder)
    assert visible(built.folder) == {"rootimg", "kernel", "initrd-stateless.gz", "image.json"}
    packages = shelf.record().packages
    assert {"linux-image-cloud-amd64", "dracut-network"} <= set(packages)
    assert not {"nano", "less"} & set(packages), "one was removed before, one after"
    root = shelf.root
    assert (root / "usr/lib/serval/serval-status").stat().st_mode & 0o111
    assert (root / "etc/machine-id").read_text() == ""
    left = ("usr/sbin/policy-rc.d", "etc/resolv.conf", "etc/apt/sources.list.d/serval-build.list")
    assert not [name for name in left if (root / name).exists()]
    listed = subprocess.run(
        ["cpio", "-t", "--quiet"],
        input=subprocess.run(
            ["gzip", "-dc", built.folder / "initrd-stateless.gz"], capture_output=True, check=True
        ).stdout,
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    for name in ("serval-root.sh", "sbin/servalroot", "sbin/livenetroot", "virtio_net.ko", "squashfs.ko"):
        assert name in listed, name


@pytest.mark.slow
def test_an_unchanged_list_builds_nothing(built: Builder) -> None:
    before = (built.folder / "rootimg").stat().st_ino
    order = built.order()
    assert "is unchanged" in genimage(order).texts["mn1"]
    assert built.steps(order) == []
    assert (built.folder / "rootimg").stat().st_ino == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "compression", "name"),
    [
        ("cpio", "zstd", "rootimg.cpio.zst"),
        ("tar", "gzip", "rootimg.tar.gz"),
        ("squashfs", "zstd", "rootimg.sfs"),
    ],
)
def test_packing(built: Builder, method: str, compression: str, name: str) -> None:
    said = packimage(built.order(method=method, compression=compression)).texts["mn1"]
    file, record = built.folder / name, Shelf(built.folder).record()
    assert name in said
    assert record.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [path.name for path in Shelf(built.folder).packed()] == [name]
    command = {
        "cpio": f"zstd -dc {file} | cpio -t --quiet",
        "tar": f"tar -tzf {file}",
        "squashfs": f"unsquashfs -l -d '' {file}",
    }[method]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=True
    )
    paths = {line.removeprefix("./").strip("/") for line in done.stdout.splitlines()}
    assert {"usr/bin/bash", "etc/shadow", "usr/share/doc/bash/copyright", "proc"} <= paths
    assert not {"usr/share/doc/bash/changelog.Debian.gz", "boot/initrd-stateless.gz"} & paths
    shadow = (built.folder / "rootimg/etc/shadow").read_text().splitlines()
    assert f"root:{CRYPTED}:" in next(line for line in shadow if line.startswith("root:"))


@pytest.mark.slow
def test_a_node_boots_what_was_packed_exported_and_imported(built: Builder, tmp_path: Path) -> None:
    if not Shelf(built.folder).record().file:
        packimage(built.order(method="squashfs", compression="zstd"))
    bundle = str(tmp_path / "bundle.tgz")
    imgexport(built.order(bundle=bundle))
    imgimport(built.order(bundle=bundle, profile="moved"))
    there, console = built.folder.with_name("moved"), tmp_path / "console"
    with booted(there, Shelf(there).record().file, console) as heard:
        try:
            assert heard.get(timeout=BOOT_S) == "installstatus booted"
        except Empty:
            pytest.fail(console.read_text(errors="replace")[-2000:])


@pytest.mark.slow
def test_a_build_that_fails_leaves_the_old_image_in_service(built: Builder) -> None:
    before = (built.folder / "rootimg").stat().st_ino
    with writing(built.engine) as connection:
        write_image(connection, NAME, {"pkgdir": "http://127.0.0.1:9/debian bookworm main"})
    order = built.order()
    with pytest.raises(RequestError, match=r"a mirror cannot be reached: .*127\.0\.0\.1"):
        genimage(order)
    with writing(built.engine) as connection:
        write_image(connection, NAME, {"pkgdir": ""})
    assert "127.0.0.1" in build_log(built.home, order.job).read_text()
    assert (built.folder / "rootimg").stat().st_ino == before
    assert ".build" not in visible(built.folder)


@pytest.mark.slow
def test_a_changed_list_uses_the_tree_again(built: Builder) -> None:
    """What came with a package goes with it, and nothing else."""
    before = set(Shelf(built.folder).record().packages)
    (built.lists / "more.x86_64").write_text("less,tree\n")
    order = built.order()
    genimage(order)
    assert "2 % copy of the tree in service" in built.steps(order)
    assert before ^ set(Shelf(built.folder).record().packages) == {"jq", "libjq1", "libonig5", "tree"}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "E: Unable to locate package xyz",
            "/l, line 3: there is no package xyz in the image's repositories",
        ),
        ("E: Package 'xyz' has no installation candidate", "/l, line 3: there is no package xyz"),
        ("E: Version '9' for 'xyz' was not found", "/l, line 3: there is no package xyz"),
        ("dpkg: error: No space left on device", "no space is left on the file system of rootimgdir"),
        (
            "E: You don't have enough free space in /i/archives/.\nE: mmdebstrap failed to run",
            "no space is left on the file system of rootimgdir",
        ),
        ("one\ntwo\n\n", "apt-get ended with status 100: two"),
    ],
)
def test_what_failed_programs_say_becomes_a_sentence(said: str, sentence: str) -> None:
    block = Transaction(install=(Entry("bash", "/l, line 1"), Entry("xyz", "/l, line 3")))
    made = Recipe("x", Kind("debian12", "x86_64", "compute"), (block,))
    with pytest.raises(ServalError, match=re.escape(sentence)), explained(Debian(), made):
        raise Failed(("apt-get", "install"), 100, said)


@pytest.mark.slow
def test_an_unknown_package_is_said_before_anything_is_installed(tmp_path: Path) -> None:
    block = Transaction(
        install=(Entry("linux-image-cloud-amd64", "/l, line 1"), Entry("bash=0", "/l, line 2"))
    )
    made = Recipe("x", Kind("debian12.5.0", "x86_64", "compute"), (block,))
    root = tmp_path / "root"
    with (
        (tmp_path / "log").open("wb") as log,
        pytest.raises(DefinitionError, match="/l, line 2: there is no package bash=0"),
        explained(Debian(), made),
    ):
        Debian().begin(Jail(log), made, root)
    assert not (root / "usr/bin/dpkg").exists(), "nothing was unpacked"


def test_a_package_that_its_folder_lacks_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/Packages").write_text("Package: tool\nVersion: 1\n\n")
    good, bad = Entry("tool=1", "/l, line 1", "site"), Entry("toll", "/l, line 2", "site")
    refuse_unknown([Transaction(install=(good,))], tmp_path)
    with pytest.raises(DefinitionError, match=r"/l, line 2: there is no package toll in .*site"):
        refuse_unknown([Transaction(install=(good, bad))], tmp_path)


def test_wrong_lists_are_said_before_anything_is_done(builder: Builder) -> None:
    with writing(builder.engine) as connection:
        write_image(connection, "other", {"osvers": "debian12", "osarch": "x86_64", "profile": "none"})
        write_image(connection, "outside", {"osvers": "debian12", "osarch": "x86_64", "profile": "compute"})
        write_image(connection, "outside", {"rootimgdir": "/etc"})
    with reading(builder.engine) as connection:
        with pytest.raises(DefinitionError, match="Cannot find the OS image nothing"):
            source(connection, builder.home, "nothing")
        with pytest.raises(DefinitionError, match="osimage other has no pkglist"):
            recipe(source(connection, builder.home, "other"))
        with pytest.raises(DefinitionError, match="rootimgdir of osimage outside"):
            recipe(source(connection, builder.home, "outside"))


def test_the_shipped_lists_can_be_read(builder: Builder) -> None:
    for osvers in ("debian12", "ubuntu24.04"):
        for profile in ("compute", "service"):
            values = {"osvers": osvers, "osarch": "x86_64", "profile": profile}
            home = Home(
                builder.home.path, builder.home.database, None, "mn1", "mn1", root=Path("/nonexistent")
            )
            with writing(builder.engine) as connection:
                write_image(connection, "shipped", values)
                made = recipe(source(connection, home, "shipped"))
            assert "openssh-server" in [entry.name for block in made.packages for entry in block.install]


def test_one_build_at_a_time(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "image")
    with shelf.workshop(), pytest.raises(RequestError, match="being built or packed"), shelf.workshop():
        pass
    assert visible(shelf.folder) == set()


KILLED = """
import sys
from pathlib import Path
from drivers.images.build import explained
from drivers.images.debian import Debian
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe
from drivers.images.shelf import Shelf
shelf = Shelf(Path(sys.argv[1]))
with shelf.workshop() as place, (place / "log").open("wb") as log:
    (place / "root").mkdir()
    script = 'mount -t tmpfs none "$1" && touch "$1/there" "$1.mounted" && sleep 1000 & sleep 1001'
    Jail(log).outside("sh", "-c", script, "sh", str(place / "root"))
"""


def test_after_kill_9_nothing_is_mounted_no_process_is_left_and_the_next_start_clears_up(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "image"
    place = folder / ".build"
    process = subprocess.Popen([sys.executable, "-c", KILLED, folder], start_new_session=True)
    try:
        await_(lambda: (place / "root.mounted").exists())
        assert not sweep(folder), "a build that goes on is left alone"
        assert str(place) not in Path("/proc/mounts").read_text()
        assert not (place / "root/there").exists(), "only the build sees its mounts"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    await_(lambda: not commands_with(str(place)))
    assert sweep(folder)
    assert visible(folder) == set()
    assert not sweep(folder)


def test_a_cancelled_build_ends_all_its_processes(tmp_path: Path) -> None:
    began = tmp_path / "began"
    with (tmp_path / "log").open("wb") as log, pytest.raises(Cancelled):
        Jail(log, began.exists).outside("sh", "-c", 'touch "$1"; sleep 1000 & sleep 1001', "sh", str(began))
    await_(lambda: not commands_with(str(began)))


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, pytest.raises(Failed) as caught:
        Jail(log).outside("sh", "-c", "echo because; exit 3")
    assert (caught.value.status, caught.value.said) == (3, "because\n")


def commands_with(word: str) -> list[str]:
    """Processes that have a word among theirs."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if word in words:
                found.append(words)
    return found


def await_(done: object) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 20
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)
