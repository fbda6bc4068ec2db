"""The engine is built once for a machine, found again without a network, or said how to be had."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from storage import toolchain
from tests.tooling.kit import ROOT, load

PROGRAM = ROOT / "tools" / "engines.py"
KUBO = "#!/bin/sh\necho {version}\n"
ON_PATH = {
    "ipfs": "0.43.0",
    "ipfs-cluster-service": "ipfs-cluster-service version 1.1.6",
    "ipfs-cluster-ctl": "ipfs-cluster-ctl version 1.1.6+git0123456789abcdef",
}


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program with an empty cache, no Go, no Kubo and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("GOPROXY", "off")
    (tmp_path / "bin").mkdir()
    return load(PROGRAM)


def place(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(engines: ModuleType) -> subprocess.CompletedProcess[str]:
    """The program as make starts it, where only what is in PATH is there."""
    return subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, timeout=600
    )


def test_the_storage_package_looks_where_the_program_builds(engines: ModuleType) -> None:
    for here in toolchain.ENGINES:
        (there,) = [item for item in engines.ENGINES if item.program == here.program]
        assert (there.version, there.asked) == (here.version, here.asked)
        built = place(engines.built(there), KUBO.format(version=here.version))
        assert here.find() == built


def test_built_engines_are_taken_at_once_and_nothing_is_started(engines: ModuleType) -> None:
    for engine in engines.ENGINES:
        place(engines.built(engine), "no program at all")
    done = run(engines)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_right_version_on_path_is_taken(engines: ModuleType, tmp_path: Path) -> None:
    for program, said in ON_PATH.items():
        place(tmp_path / "bin" / program, f"#!/bin/sh\necho {said}\n")
    for engine in engines.ENGINES:
        if not engine.asked:
            place(engines.built(engine), "not asked for its version")
    done = run(engines)
    assert (done.returncode, done.stderr) == (0, "")
    for engine in engines.ENGINES:
        assert engines.built(engine).exists() == (not engine.asked)
    assert [engine.find().name for engine in toolchain.ENGINES] == list(ON_PATH)


def test_another_version_on_path_is_left_alone(
    engines: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path / "bin" / "ipfs", KUBO.format(version="0.42.1"))
    monkeypatch.setattr(engines, "PYTHON", tmp_path / "no-python")
    with pytest.raises(engines.ToolError, match="make setup"):
        engines.bring(engines.KUBO)


def test_an_old_go_is_not_used(
    engines: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path / "bin" / "go", "#!/bin/sh\necho go1.26.4\n")
    assert engines.go_on_path() is None
    place(tmp_path / "bin" / "go", "#!/bin/sh\necho go1.26.5\n")
    assert engines.go_on_path() == str(tmp_path / "bin" / "go")
    place(tmp_path / "bin" / "go", "#!/bin/sh\necho go1.27\n")
    assert engines.go_on_path() is not None


def test_a_machine_without_a_module_proxy_is_told_what_to_do(
    engines: ModuleType, tmp_path: Path
) -> None:
    place(tmp_path / "bin" / "go", '#!/bin/sh\n[ "$1" = env ] && echo go1.26.5 && exit\nexit 3\n')
    done = run(engines)
    assert done.returncode == 1
    assert "failed with exit status 3" in done.stderr
    assert "put Kubo 0.43.0 on PATH" in done.stderr
    assert "Traceback" not in done.stderr
    assert not engines.built(engines.KUBO).exists()


def test_a_build_of_the_wrong_version_is_not_kept(engines: ModuleType, tmp_path: Path) -> None:
    """A Go that builds something else: what is not checked must not be found next time."""
    script = f"""#!/bin/sh
case "$1" in
  env) echo go1.26.5 ;;
  mod) echo '{{"Dir": "{tmp_path}"}}' ;;
  build) {shutil.which("printf", path=os.defpath)} '#!/bin/sh\\necho 0.1.0\\n' > "$5"
         {shutil.which("chmod", path=os.defpath)} 755 "$5" ;;
esac
"""
    place(tmp_path / "bin" / "go", script)
    with pytest.raises(engines.ToolError, match=r"is not 0\.43\.0"):
        engines.bring(engines.KUBO)
    assert sorted(path.name for path in engines.built(engines.KUBO).parent.iterdir()) == [".lock"]
    place(tmp_path / "bin" / "go", script.replace("0.1.0", "0.43.0"))
    assert engines.bring(engines.KUBO) == engines.built(engines.KUBO)
    assert sorted(path.name for path in engines.built(engines.KUBO).parent.iterdir()) == [
        ".lock",
        "ipfs",
    ]


def test_the_loader_of_compose_files_is_tried_before_it_is_kept(
    engines: ModuleType, tmp_path: Path
) -> None:
    """One that accepts everything would make the test of docker-compose.yml worthless."""
    assert not engines.loads_compose(place(tmp_path / "credulous", "#!/bin/sh\nexit 0\n"))
    assert not engines.loads_compose(place(tmp_path / "sulky", "#!/bin/sh\nexit 1\n"))


def test_a_second_build_waits_for_the_first_and_takes_its_result(engines: ModuleType) -> None:
    for engine in engines.ENGINES[1:]:
        place(engines.built(engine), "there already")
    folder = engines.built(engines.KUBO).parent
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(
            [sys.executable, str(PROGRAM)], stderr=subprocess.PIPE, text=True
        ) as second:
            assert second.stderr is not None
            assert "waiting for it" in second.stderr.readline()
            place(engines.built(engines.KUBO), "built by the first")
            time.sleep(0.2)
            assert second.poll() is None
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.wait(600) == 0


def test_a_cache_that_cannot_be_written_is_named(
    engines: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = run(engines)
    assert done.returncode == 1
    assert "XDG_CACHE_HOME" in done.stderr
    assert "Traceback" not in done.stderr
