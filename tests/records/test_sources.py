"""A data set counts by its digest, wherever it was found."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from records.errors import DataMissing
from records.sources import HEART, PNEUMONIA, Source, read_source

DATA = b"63.0,1.0,?\n" * 50
ASKED: list[str] = []


class Official(BaseHTTPRequestHandler):
    """An official address: /good gives the file, /long something endless, else nothing."""

    def do_GET(self) -> None:
        ASKED.append(self.path)
        if self.path == "/none":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(DATA if self.path == "/good" else DATA * 1000)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    ASKED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Official)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSILIUM_DATA", raising=False)


def source(address: str) -> Source:
    return Source("set/file.data", address, hashlib.sha256(DATA).hexdigest(), len(DATA))


def test_the_five_files_are_pinned_by_whole_digests() -> None:
    sources = [*HEART.values(), PNEUMONIA]
    assert len({x.sha256 for x in sources}) == 5
    assert all(len(bytes.fromhex(x.sha256)) == 32 for x in sources)
    assert all(x.address.startswith("https://") for x in sources)


def test_consilium_data_comes_first_and_nothing_is_asked_for(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.data").write_bytes(DATA)
    monkeypatch.setenv("CONSILIUM_DATA", str(tmp_path))
    assert read_source(source(f"{address}/good"), tmp_path / "cache") == DATA
    assert ASKED == []


def test_a_file_of_another_digest_is_refused_not_replaced(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.data").write_bytes(DATA + b"1")
    monkeypatch.setenv("CONSILIUM_DATA", str(tmp_path))
    with pytest.raises(DataMissing, match=r"file\.data: sha256 is .* is expected; put"):
        read_source(source(f"{address}/good"), tmp_path / "cache")
    assert ASKED == []


def test_a_download_is_checked_and_kept_for_the_next_time(tmp_path: Path, address: str) -> None:
    wanted = source(f"{address}/good")
    assert read_source(wanted, tmp_path) == DATA
    assert (tmp_path / "set" / "file.data").read_bytes() == DATA
    assert read_source(wanted, tmp_path) == DATA
    assert ASKED == ["/good"]


def test_a_download_of_something_else_is_refused_and_not_kept(tmp_path: Path, address: str) -> None:
    with pytest.raises(DataMissing, match="sha256"):
        read_source(source(f"{address}/long"), tmp_path)
    assert not list(tmp_path.rglob("*.data*"))


def test_without_data_and_network_one_message_says_what_to_do(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataMissing, match=r"CONSILIUM_DATA is not set.*set CONSILIUM_DATA to"):
        read_source(source(f"{address}/none"), tmp_path)
    monkeypatch.setenv("CONSILIUM_DATA", str(tmp_path / "else"))
    nobody = replace(source(address), address="http://127.0.0.1:1/file")
    with pytest.raises(DataMissing, match=r"not in CONSILIUM_DATA .*gives no answer"):
        read_source(nobody, tmp_path)
