"""The wheel works where nothing of the checkout is."""

from __future__ import annotations

import ast
import email
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "mdlstm_core", "resources")

# Installed by an extra, imported only where they are asked for.
OPTIONAL = {"pyarrow": "scale", "ray": "scale", "sklearn": "bench"}
# Triton comes with the builds of torch that have a use for it.
BROUGHT_ALONG = {"triton"}


def run(command: list[str | Path], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a user would who never saw the checkout."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    done = run(command, out)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("mdlstm_labeler-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts' folder of a new virtual environment with the wheel in it."""
    home = tmp_path_factory.mktemp("user") / "venv"
    venv.create(home)
    paths = sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})
    # Third-party packages are lent by the running environment: downloading them takes
    # gigabytes. A .pth file inside the folder lent is not read, so an editable
    # installation of the checkout does not come along.
    lent = "\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    (Path(paths["purelib"]) / "lent.pth").write_text(lent + "\n")
    python = Path(paths["scripts"]) / Path(sys.executable).name
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index"]
    done = run([*command, "--no-deps", wheel], home)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(paths["scripts"])


def third_party_imports(package: Path) -> dict[str, str]:
    """Return the top-level names a package imports from others, each with one place."""
    found: dict[str, str] = {}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names and name not in PACKAGES:
                    found[name] = str(path.relative_to(ROOT))
    return found


def requirements(wheel: Path) -> dict[str, set[str]]:
    """Return the distributions required; an extra's name stands for its own, "" for all."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    required: dict[str, set[str]] = {"": set()}
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        marker = requirement.marker
        extras = [e for e in metadata.get_all("Provides-Extra", []) if f'"{e}"' in str(marker)]
        for extra in extras or [""]:
            required.setdefault(extra, set()).add(canonicalize_name(requirement.name))
    return required


@pytest.mark.parametrize("package", ["app", "mdlstm_core", "resources"])
def test_every_import_is_required(wheel: Path, package: str) -> None:
    required = requirements(wheel)
    distributions = packages_distributions()

    missing = {}
    for name, place in third_party_imports(ROOT / package).items():
        providers = {canonicalize_name(d) for d in distributions.get(name, [name])}
        if name not in BROUGHT_ALONG and not providers & required[OPTIONAL.get(name, "")]:
            missing[name] = place

    assert not missing


def test_wheel_holds_the_three_packages_and_what_they_ship(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {n for n in archive.namelist() if ".dist-info/" not in n}

    assert {name.partition("/")[0] for name in names} == set(PACKAGES)
    shipped = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "resources").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert shipped <= names
    assert "resources/models/scene.safetensors" in names


def test_packages_come_from_the_new_environment(installed: Path, tmp_path: Path) -> None:
    code = f"import {', '.join(PACKAGES)}\nfor m in ({', '.join(PACKAGES)}): print(m.__file__)"

    done = run([installed / Path(sys.executable).name, "-c", code], tmp_path)

    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert len(files) == len(PACKAGES)
    assert all(file.is_relative_to(installed.parent) for file in files), files


def test_predict_writes_a_mask_of_the_exact_size(installed: Path, tmp_path: Path) -> None:
    width, height = 83, 57
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")

    done = run(
        [installed / "mdlstm", "predict", "small.png", "--model", "scene", "--out", "masks"],
        tmp_path,
    )

    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "masks" / "small.png") as mask:
        assert mask.size == (width, height)


def test_bulk_run_starts_its_processes(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "set" / "small.png")

    options = ("--workers", "1", "--device", "cpu", "--out", "labeled")
    command = [installed / "mdlstm", "predict", "--engine", "processes", "set", *options]
    done = run(command, tmp_path)

    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "labeled" / "masks" / "small.png.png") as mask:
        assert mask.size == (20, 10)


def test_window_has_its_own_command(installed: Path) -> None:
    assert (installed / "mdlstm-labeler").is_file() or (installed / "mdlstm-labeler.exe").is_file()
