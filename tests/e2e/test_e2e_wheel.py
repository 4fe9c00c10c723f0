"""The wheel, built from version control on a machine without node."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_a_wheel_built_without_node_carries_the_console(tmp_path: Path) -> None:
    source, programs = tmp_path / "source", tmp_path / "bin"
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    programs.mkdir()
    for program in (*Path("/usr/bin").iterdir(), *Path("/bin").iterdir()):
        if program.name not in ("node", "nodejs", "npm", "npx") and not (programs / program.name).is_symlink():
            (programs / program.name).symlink_to(program)

    build = [str(ROOT / ".venv/bin/uv"), "build", "--wheel", "--python", sys.executable, "--out-dir", str(tmp_path)]
    done = subprocess.run(
        build,
        cwd=source,
        env={"HOME": str(tmp_path / "home"), "PATH": str(programs), "UV_SYSTEM_CERTS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("pullwright-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "pullwright/web/index.html" in names
    assert any(name.startswith("pullwright/web/assets/index-") for name in names)
    assert "pullwright/guest/bin/machine" in names
    assert len(names) == len(set(names))
