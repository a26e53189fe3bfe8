"""Serval's worker in images of service nodes: its wheel, what pip cannot have, and that no secret goes in."""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from imagesite import ImageSite, image_site, sqlite_env

from core.errors import DefinitionError, UnavailableError
from core.release import RELEASE
from db.engine import reading, writing
from db.images import write_image
from drivers.images import ownwheel
from drivers.images.build import put_files
from drivers.images.jail import Jail
from drivers.images.parcel import unwrap, wrap
from drivers.images.recipe import Recipe
from routing.osimages import recipe, source

SECRET = "no-image-has-this-word"


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> ImageSite:
    made = image_site(sqlite_env(sqlite_template, tmp_path), tmp_path)
    with writing(made.engine) as connection:
        for osvers in ("debian12", "ubuntu22.04"):
            values = {"osvers": osvers, "osarch": "x86_64", "profile": "service", "provmethod": "netboot"}
            write_image(connection, osvers, values)
    return made


def service_recipe(site: ImageSite, name: str = "debian12") -> Recipe:
    with reading(site.engine) as connection:
        return recipe(source(connection, site.home, name))


def test_the_wheel_is_installed_by_pip_without_a_checkout(tmp_path: Path) -> None:
    wheel = ownwheel.build(tmp_path)
    place = tmp_path / "place"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", f"--target={place}"]
    subprocess.run([*pip, str(wheel)], check=True)
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/RECORD")]
        assert [name for name in names if (place / name).read_bytes() != archive.read(name)] == []
    for name, file in ownwheel.own_files():
        assert os.access(place / name, os.X_OK) == os.access(file, os.X_OK), name
    assert {"serval", "rpower", "genimage"} <= {path.name for path in (place / "bin").iterdir()}
    said = "import routing.osimages as o, drivers.images.ownwheel as w; print(o.SHIPPED.is_dir(), w.RELEASE)"
    env = {**os.environ, "PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-c", said], env=env, cwd="/", capture_output=True, text=True)
    assert done.stdout.split() == ["True", RELEASE], done.stderr


def test_what_a_service_image_gets(site: ImageSite, tmp_path: Path) -> None:
    made = service_recipe(site)
    assert made.worker is not None
    assert (made.worker.release, made.worker.python) == (RELEASE, "3.11")
    assert any(pin.startswith("celery==") for pin in made.worker.pins)
    unit = made.files["etc/systemd/system/serval-worker.service"]
    assert "ConditionPathExists=|/etc/serval/serval.toml" in unit
    rule = made.files["etc/udev/rules.d/90-serval.rules"]
    assert '"var-lib-serval.mount serval-worker.service"' in rule
    assert "etc/systemd/system/var-lib-serval.mount" in made.files
    with pytest.raises(DefinitionError, match=r"ubuntu22.04 has Python 3.10, and Serval's worker needs 3.11"):
        service_recipe(site, "ubuntu22.04")
    with pytest.raises(DefinitionError, match=r"cannot be put into images of rocky9.4"):
        ownwheel.worker_for("rocky9.4", "x86_64")


def test_requirements_of_another_python_are_not_forgotten(site: ImageSite) -> None:
    worker = service_recipe(site).worker
    assert worker is not None
    without = tuple(pin for pin in worker.pins if not pin.startswith(("async-timeout", "packaging")))
    older = ownwheel.Worker(RELEASE, "3.11", "x86_64", "", without)
    assert {re.split("[<>=]", need)[0] for need in ownwheel.missing(older)} == {"async-timeout", "packaging"}


def test_a_worker_that_pip_cannot_have_is_said_before_the_build(
    site: ImageSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "no-wheels"))
    worker = service_recipe(site).worker
    assert worker is not None
    said = r"wheels for Serval's worker \(Python 3.11, x86_64\) cannot be had by pip: ERROR: No matching"
    with (tmp_path / "log").open("wb") as log, pytest.raises(UnavailableError, match=said):
        ownwheel.gather(worker, Jail(log), tmp_path / "wheels")


def test_no_secret_of_the_management_node_goes_along(site: ImageSite, tmp_path: Path) -> None:
    (site.home.path / "serval.toml").write_text(f'broker = "redis://:{SECRET}@127.0.0.1/0"\n')
    (site.home.keys / "seal").write_text(SECRET)
    site.shell.ok(f"chtab key=system passwd.username=root passwd.password={SECRET}")
    made = service_recipe(site)
    put_files(tmp_path / "tree", made)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    ownwheel.build(wheels)
    wrap(made, wheels, tmp_path / "parcel")
    sent = unwrap(tmp_path / "parcel", tmp_path / "far")
    assert replace(sent, scripts=made.scripts) == made
    assert [Path(script).read_text() for script, *_ in sent.scripts] == [
        Path(script).read_text() for script, *_ in made.scripts
    ]
    for archive in (tmp_path / "parcel", *wheels.iterdir()):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "tree" / archive.name)
    files = [file for file in (tmp_path / "tree").rglob("*") if file.is_file()]
    assert len(files) > 100
    assert not [file for file in files if SECRET.encode() in file.read_bytes() and "test" not in file.name]
