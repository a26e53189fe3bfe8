"""liteimg: what it says before it begins, and what it makes of a tree; the node's own part on a tree too."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_rig import small_disk
from imagesite import NAME, ImageSite, image_site

from core.errors import DefinitionError, ServalError
from core.images.statelite import Lite, read_lite
from drivers.images.jail import Jail
from drivers.images.lite import furnish, put_tree
from routing.liteimages import liteimg

LITE = "debian12-x86_64-statelite-compute"
SCRIPT = Path(__file__).resolve().parents[2] / "deploy/images/dracut/98statelite/statelite.sh"
#: What dracut gives the script; mounts of NFS are folders of this host.
DRACUT = """\
getarg() {{ for word in NODE=cn1 SERVAL=10.0.0.1:3002 root=nfs4:10.0.0.2:/r:ro STATEMNT=10.0.0.3:/state; do
    case $word in $1*) echo "${{word#"$1"}}"; return 0 ;; esac; done; return 1; }}
warn() {{ echo "$@" >&2; }}
mount() {{
    case "$*" in
        "-t nfs -o "*) shift 4; [ -d "{top}/$1" ] || {{ echo "No such file or directory"; return 32; }}
            command mount --bind "{top}/$1" "$2" ;;
        *) command mount "$@" ;;
    esac
}}
"""


@pytest.fixture
def site(home_env: dict[str, str], tmp_path: Path) -> ImageSite:
    return image_site(home_env, tmp_path)


@pytest.fixture
def jail(tmp_path: Path) -> Iterator[Jail]:
    with (tmp_path / "log").open("ab") as log:
        yield Jail(log)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with what is in question."""
    tree = tmp_path / "tree"
    for folder in ("etc/ssh", "root", "srv", "var/log", "run"):
        (tree / folder).mkdir(parents=True)
    (tree / "root").chmod(0o700)
    (tree / "etc/motd").write_text("hello\n")
    (tree / "etc/ssh/sshd_config").write_text("Port 22\n")
    (tree / "root/key").write_text("secret\n")
    (tree / "etc/mtab").symlink_to("../proc/self/mounts")
    (tree / "var/run").symlink_to("/run")
    return tree


def lite(*rows: tuple[str, str], trees: tuple[str, ...] = ()) -> Lite:
    listed = [{"priority": str(number), "directory": place} for number, place in enumerate(trees)]
    return read_lite([{"file": file, "options": options} for file, options in rows], listed, "img", ())


def test_what_cannot_be_is_said_before_anything_is_built(site: ImageSite) -> None:
    site.lay_down()
    shell = site.shell
    assert "statelite is needed" in shell.run(f"liteimg {NAME}").err
    shell.ok(f"mkdef -t osimage -o {LITE} osvers=debian12 osarch=x86_64 profile=compute provmethod=statelite")
    shell.ok("chtab file=/etc/../x litefile.image=ALL litefile.options=tmpfs")
    said = shell.run(f"liteimg {LITE}")
    assert (said.status, "litefile ALL '/etc/../x'" in said.err) == (1, True), said
    assert "netboot is needed" in shell.run(f"packimage {LITE}").err


def test_a_tree_that_cannot_be_linked_is_said_and_leaves_nothing(site: ImageSite) -> None:
    shelf = site.lay_down()
    site.shell.ok(
        f"mkdef -t osimage -o {LITE} osvers=debian12 osarch=x86_64 profile=compute provmethod=statelite"
    )
    before = site.visible()
    with small_disk(shelf.root / "mnt", 1 << 20) as there:
        (there / "file").touch()
        with pytest.raises(ServalError, match="cp ended with status 1: cp: cannot create hard link"):
            site.do("liteimg", liteimg, image=LITE)
    assert site.visible() == before


def test_nodeset_wants_the_statelite_form_and_a_place_for_what_is_kept(site: ImageSite) -> None:
    shell, folder = site.shell, site.folder()
    shell.ok(f"mkdef -t osimage -o {LITE} osvers=debian12 osarch=x86_64 profile=compute provmethod=statelite")
    shell.ok("chdef n1 netboot=xnba arch=x86_64 mac=52:54:00:00:00:01 ip=127.0.0.9")
    shell.ok("mkdef -t network -o loop net=127.0.0.0 mask=255.0.0.0")
    folder.mkdir(parents=True)
    nodeset = f"nodeset n1 osimage={LITE} --plan"
    assert f"genimage {LITE}; liteimg {LITE}" in shell.run(nodeset).err
    for name in ("kernel-statelite", "initrd-statelite.gz", "rootimg-statelite/x"):
        (folder / name).mkdir(parents=True)
    assert "statelite debian12-x86_64-compute" in shell.run(nodeset).out
    shell.ok("chtab file=/srv/ litefile.image=ALL litefile.options=persistent")
    assert "statelite.statemnt does not say where" in shell.run(nodeset).err
    shell.ok("chtab node=compute statelite.statemnt=nas:/state")
    assert "statelite debian12-x86_64-compute" in shell.run(nodeset).out


def test_a_tree_gets_originals_links_and_what_is_missing(root: Path, jail: Jail) -> None:
    furnish(
        root,
        lite(
            ("/etc/motd", "link"),
            ("/root/key", "tmpfs"),
            ("/srv/new/place/", "link,persistent"),
            ("/etc/n", "ro"),
        ),
        jail,
    )
    assert (root / "etc/motd").readlink() == Path("/.statelite/tmpfs/etc/motd")
    assert (root / "srv/new/place").readlink() == Path("/.statelite/persistent/srv/new/place")
    assert (root / "etc/n").read_text() == ""
    kept = root / ".default"
    assert ((kept / "etc/motd").read_text(), (kept / "root/key").read_text()) == ("hello\n", "secret\n")
    assert (kept / "srv/new/place").is_dir()
    assert [path.stat().st_mode & 0o777 for path in (kept, kept / "root")] == [0o700, 0o700]
    assert (root / ".statelite/litefile").read_text().splitlines()[0] == "tmpfs link /etc/motd"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("/etc/mtab", "tmpfs"), "litefile '/etc/mtab' is a link to ../proc/self/mounts: name that"),
        (("/var/run/x", "tmpfs"), "litefile '/var/run/x': /var/run is no folder of the image but a link"),
        (("/etc/motd/x", "tmpfs"), "litefile '/etc/motd/x': /etc/motd is no folder of the image"),
        (("/etc/ssh", "tmpfs"), "litefile '/etc/ssh' is a folder, which is written with /"),
        (("/etc/motd/", "tmpfs"), "litefile '/etc/motd' is no folder: write no / at its end"),
    ],
)
def test_rows_that_do_not_fit_the_image_are_refused(
    root: Path, jail: Jail, row: tuple[str, str], said: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        furnish(root, lite(row), jail)
    assert said in caught.value.message


def test_a_tree_that_is_replaced_stays_until_the_next_time(tmp_path: Path) -> None:
    there, old = tmp_path / "there", tmp_path / "old"
    for number in "123":
        new = tmp_path / "new"
        new.mkdir()
        (new / "number").write_text(number)
        put_tree(new, there, old)
        assert not new.exists()
    assert [(folder / "number").read_text() for folder in (there, old)] == ["3", "2"]


def boot(top: Path, root: Path, then: str) -> subprocess.CompletedProcess[str]:
    """The node's script on a tree that is only read, in a mount namespace, and what is looked at then."""
    script = top / "statelite"
    script.write_text(DRACUT.format(top=top) + SCRIPT.read_text())
    line = (
        f"mount --bind {root} {root}; mount -o remount,bind,ro {root}; sh {script} {root}; cd {root}; {then}"
    )
    env = os.environ | {"LC_ALL": "C"}
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f"mount -t tmpfs tmpfs /run; {line}"],
        capture_output=True, text=True, check=False, env=env,
    )  # fmt: skip


def test_a_node_lays_its_files_over_its_root_and_finds_again_what_it_kept(
    tmp_path: Path, root: Path, jail: Jail
) -> None:
    wanted = lite(
        ("/etc/motd", "con"), ("/etc/ssh/", "persistent"), ("/etc/own", "ro"), ("/root/key", "link"),
        ("/var/log/", ""),
        trees=("$noderes.nfsserver:/lite/$node", "/lite/none", "/lite/all"),
    )  # fmt: skip
    furnish(root, wanted, jail)
    for name, text in {"cn1/etc/own": "mine", "all/etc/own": "all", "all/etc/motd": "more"}.items():
        file = tmp_path / "10.0.0.2:/lite" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    (tmp_path / "10.0.0.3:/state").mkdir(parents=True)
    look = (
        "echo x >> etc/ssh/new; touch var/log/a; cat etc/motd etc/own etc/ssh/new .statelite/tmpfs/root/key"
    )
    first = boot(tmp_path, root, f"{look}; ! touch srv/x; ! echo >> etc/own")
    assert first.returncode == 0, first
    assert first.stdout.split() == ["hello", "more", "mine", "x", "secret"]
    assert boot(tmp_path, root, look).stdout.split() == ["hello", "more", "mine", "x", "x", "secret"]
    kept = tmp_path / "10.0.0.3:/state/cn1/etc/ssh"
    assert (kept / "sshd_config").read_text() == "Port 22\n"
    assert not (root / "var/log/a").exists()


def test_a_node_does_not_start_without_what_it_shall_have(tmp_path: Path, root: Path, jail: Jail) -> None:
    furnish(root, lite(("/etc/ssh/", "persistent")), jail)
    failed = boot(tmp_path, root, "echo started")
    assert (failed.stdout, failed.returncode != 0) == ("", True)
    assert "10.0.0.3:/state cannot be mounted" in failed.stderr
