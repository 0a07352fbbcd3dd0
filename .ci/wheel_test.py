"""Builds source archive and wheel, checks what is in the wheel, and tries it where the repository is not.

Run by `make wheel-test`.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# Which folder of the repository becomes which folder of the wheel.
INSTALLED_AS = {"keras_cam": "keras_cam", "training": "keras_cam/training", "export": "keras_cam/export"}
DATA = {
    "keras_cam/py.typed",
    "keras_cam/drawing/page.html",
    *(f"keras_cam/export/web_page/{file.name}" for file in (REPOSITORY / "export" / "web_page").iterdir()),
    *(str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "keras_cam").rglob("*.pyi")),
    "keras_cam/export/__init__.pyi",
    "keras_cam/training/__init__.pyi",
    *(f"keras_cam/models/{name}_labels.txt" for name in ("imagenet", "places205", "places365")),
}
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}


def main() -> None:
    """Runs all steps in a temporary folder; the first that fails ends the program."""
    with tempfile.TemporaryDirectory() as folder:
        # By way of the source archive, so that this is tested too and no `build/` is left in the repository.
        run(sys.executable, "-m", "build", "--outdir", folder, REPOSITORY, cwd=folder, quiet=True)
        [wheel] = Path(folder).glob("*.whl")
        run(sys.executable, "-m", "twine", "check", "--strict", *Path(folder).iterdir(), cwd=folder)
        check_contents(wheel)
        run(sys.executable, "-m", "venv", f"{folder}/venv", cwd=folder)
        python = f"{folder}/venv/bin/python"
        run(python, "-m", "pip", "install", "--quiet", wheel, cwd=folder)
        run(python, "-m", "pip", "check", cwd=folder)
        run(python, REPOSITORY / ".ci/smoke_test.py", cwd=folder)
    print(f"{wheel.name} holds what it should, installs, and works outside the repository.")


def run(*command: str | Path, cwd: str, quiet: bool = False) -> None:
    """Runs a command; what it says is shown, or if it is a quiet one, only after a failure."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout or ''}\n{' '.join(map(str, command))} ended with status {done.returncode}")


def check_contents(wheel: Path) -> None:
    """Ends the program unless the wheel holds exactly the package: no tests, nothing stale, nothing lost."""
    name, version, *_ = wheel.stem.split("-")
    expected = DATA | {f"{name}-{version}.dist-info/{file}" for file in METADATA}
    for source, target in INSTALLED_AS.items():
        folder = REPOSITORY / source
        expected |= {f"{target}/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*.py")}
    found = {entry for entry in zipfile.ZipFile(wheel).namelist() if not entry.endswith("/")}
    if found != expected:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        sys.exit(f"{wheel.name} lacks {missing} and should not hold {unexpected}")


if __name__ == "__main__":
    main()
