"""Images of EL by the real dnf, from RPM repositories that are made here: no other are to be had everywhere.

The packages have the names of the real ones and next to nothing in them; what is tested is dnf's part.
"""

import platform
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import DefinitionError, UnavailableError
from core.images.pkglist import Transaction, read_pkglist
from core.images.sources import Kind
from drivers.images.build import build
from drivers.images.dnf import BOOTING
from drivers.images.jail import Jail
from drivers.images.recipe import Recipe

#: Package → shell lines that put its files into $RPM_BUILD_ROOT, and its files.
CONTENT = {
    "filesystem": ("mkdir -p $R/proc $R/sys $R/dev $R/run $R/tmp $R/etc $R/usr/bin $R/boot", "/*"),
    "busybox": ("install -D BUSYBOX $R/bin/busybox; ln -s busybox $R/bin/sh", "/bin/*"),
    "kernel": ("install -d $R/lib/modules/5.9-1; echo k > $R/lib/modules/5.9-1/vmlinuz", "/lib/modules/*"),
    "dracut": (
        "install -d $R/usr/bin; for n in dracut systemctl; do"
        " printf '#!/bin/sh\\nfor l; do :; done\\ncase $0 in *dracut) echo i > $l;; esac\\n' > $R/usr/bin/$n;"
        " chmod 755 $R/usr/bin/$n; done",
        "/usr/bin/*",
    ),
    "tool": ("install -d $R/usr/share; echo t > $R/usr/share/tool", "/usr/share/tool"),
    "unwanted": ("install -d $R/usr/share; echo u > $R/usr/share/unwanted", "/usr/share/unwanted"),
    "extra": ("install -d $R/usr/share; echo e > $R/usr/share/extra", "/usr/share/extra"),
}
PROVIDED = " ".join(name for name in BOOTING if name != "dracut")
SCRIPTLET = '%post -n tool\ntest -r /proc/self/status && test -c /dev/null && echo "$KEY" > /etc/tool.said\n'


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`os/BaseOS` with everything but `extra`, which is in `other/site`."""
    top = tmp_path_factory.mktemp("rpm")
    lines = ["Name: made-here", "Version: 1", "Release: 1", "Summary: x", "License: x", "%description", "x"]
    install, files = ["%install", "R=$RPM_BUILD_ROOT"], []
    for name, (shell, listed) in CONTENT.items():
        provides = f"Provides: {PROVIDED}\nRequires: busybox" if name == "dracut" else ""
        requires = "Requires: unwanted busybox" if name == "tool" else ""
        lines += [f"%package -n {name}", "Summary: x", provides, requires, f"%description -n {name}", "x"]
        install.append(shell.replace("BUSYBOX", shutil.which("busybox") or "busybox is not installed"))
        files += [f"%files -n {name}", listed if name != "filesystem" else "\n".join(folders())]
    spec = top / "made.spec"
    spec.write_text("\n".join([*lines, *install, SCRIPTLET, *files]) + "\n")
    command = ["rpmbuild", "-bb", "--define", f"_topdir {top}", "--define", "_build_id_links none"]
    command += ["--define", "debug_package %{nil}", "--define", "__os_install_post %{nil}", str(spec)]
    subprocess.run(command, check=True, capture_output=True)
    for name, to in ((name, "other/site" if name == "extra" else "os/BaseOS") for name in CONTENT):
        (top / to).mkdir(parents=True, exist_ok=True)
        (package,) = (top / "RPMS").rglob(f"{name}-1-1.*.rpm")
        package.rename(top / to / package.name)
    for to in ("os/BaseOS", "other/site"):
        subprocess.run(["createrepo_c", "--quiet", str(top / to)], check=True, capture_output=True)
    return top


def folders() -> list[str]:
    return [f"%dir /{name}" for name in ("proc", "sys", "dev", "run", "tmp", "etc", "usr/bin", "boot")]


def recipe(top: Path, text: str, other: str = "") -> Recipe:
    def listed(told: str, *, is_other: bool = False) -> tuple[Transaction, ...]:
        return read_pkglist(["/l"] if told else [], lambda _: told, {}, other=is_other)

    kind = Kind("rocky9.4", platform.machine(), "compute")
    others = listed(other, is_other=True)
    return Recipe("x", kind, listed(text), others, (str(top / "os"),), top / "other")


def test_an_image_by_dnf(repositories: Path, tmp_path: Path) -> None:
    made = recipe(repositories, "#ENV:KEY=value#\ntool\n#NEW_INSTALL_LIST#\n--unwanted", "site/extra")
    steps: list[str] = []
    with (tmp_path / "log").open("wb") as log:
        built = build(made, tmp_path / "image", Jail(log), lambda _, text: steps.append(text))
    root = tmp_path / "image/rootimg"
    # Removing what the tool needs takes the tool with it, as dnf does.
    assert set(built.record.packages) == {"filesystem", "busybox", "kernel", "dracut", "extra"}
    assert (root / "etc/tool.said").read_text() == "value\n"
    assert (tmp_path / "image/initrd-stateless.gz").read_text() == "i\n"
    assert (tmp_path / "image/kernel").read_text() == "k\n"
    assert not list((root / "dev").iterdir()), "nothing of the build's mounts is left"
    (tmp_path / "image/initrd-stateless.gz").unlink()
    with (tmp_path / "log").open("ab") as log:
        again = build(made, tmp_path / "image", Jail(log), lambda _, text: None)
        assert again.unchanged
        limited = replace(made, rootlimit="2g")
        build(limited, tmp_path / "image", Jail(log), lambda _, text: None, only_initrd=True)
    assert "serval.rootlimit=2g" in (tmp_path / "log").read_text()
    assert (tmp_path / "image/initrd-stateless.gz").read_text() == "i\n"
    assert {path.name for path in (tmp_path / "image").iterdir()} == {
        "rootimg", "kernel", "initrd-stateless.gz", "image.json", ".lock",
    }  # fmt: skip


def test_what_dnf_cannot_do_is_said_with_the_line(repositories: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        for text, other, said in (
            ("tool\nno-such-tool", "", "/l, line 2: there is no package no-such-tool"),
            ("tool", "none/extra", "other/none is no repository"),
        ):
            with pytest.raises(DefinitionError, match=said):
                build(recipe(repositories, text, other), tmp_path / "image", Jail(log), lambda _, text: None)
    assert "install filesystem" not in (tmp_path / "log").read_text(), "said before anything is installed"
    assert {path.name for path in (tmp_path / "image").iterdir()} == {".lock"}


@pytest.fixture(scope="module")
def signed(repositories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with signed packages of the system; the key lies with the others, as EL's media have it."""
    top = tmp_path_factory.mktemp("signed")
    shutil.copytree(repositories / "os", top / "os")
    shutil.copytree(repositories / "other", top / "other")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", "--yes"]
    subprocess.run([*gpg, "--quick-gen-key", "made here", "rsa2048", "sign"], check=True, capture_output=True)
    export = ["--armor", "--output", str(top / "other/site/RPM-GPG-KEY-made-here"), "--export"]
    subprocess.run([*gpg, *export], check=True, capture_output=True)
    packages = sorted((top / "os/BaseOS").glob("*.rpm"))
    sign = ["rpmsign", "--define", f"__gpg {shutil.which('gpg')}", "--define", f"_gpg_path {home}"]
    sign += ["--define", "_gpg_name made here", "--addsign", *map(str, packages)]
    subprocess.run(sign, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    subprocess.run(["createrepo_c", "--quiet", str(top / "os/BaseOS")], check=True, capture_output=True)
    return top


def test_packages_are_checked_where_there_is_a_key(signed: Path, tmp_path: Path) -> None:
    made = replace(recipe(signed, "tool"), keys=(signed / "other/site/RPM-GPG-KEY-made-here",))
    with (tmp_path / "log").open("wb") as log:
        built = build(made, tmp_path / "image", Jail(log), lambda _, text: None)
        assert "tool" in built.record.packages
        assert "Importing GPG key" in (tmp_path / "log").read_text()
        unsigned = recipe(signed, "tool", "site/extra")
        said = r"not signed as they should be: .*extra-1-1.*is not signed"
        with pytest.raises(UnavailableError, match=said):
            build(unsigned, tmp_path / "image", Jail(log), lambda _, text: None)
