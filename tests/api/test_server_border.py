"""What comes from strangers, with neither node nor study: sizes, forms, hosts, errors."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.cli.main import main
from api.errors import ApiError, HomeError
from api.home import PASSPHRASE, Home, HomeConfig, HomeRole
from api.server.app import create_app
from api.server.cache import Lru
from api.server.limits import Limit
from api.server.logs import make_log
from api.server.problems import KINDS, ApiProblem, problem_of
from api.server.settings import Settings, read_settings
from chain.deploy import WIRING, Deployment
from chain.errors import LogsDisagree, NodeDown, TxReverted
from chain.types import Address, BlockNumber
from federated.errors import RecordError, StepError
from storage.embedded import EmbeddedStore
from storage.errors import CorruptBlock, MissingBlock, Unanswered, Unreachable
from tests.api.serving import PATIENT, Logged, over_http

NOWHERE = "http://127.0.0.1:1"
SECRET = "c0ffee" * 10
REVOCATION = {
    "key": "0x" + "11" * 20,
    "agreement": 1,
    "nonce": 0,
    "deadline": 10**10,
    "r": "11" * 32,
    "vs": "11" * 32,
}


@dataclass
class Alone:
    client: httpx.Client
    log: Logged
    url: str

    def post(self, body: bytes, kind: str = "application/json") -> httpx.Response:
        headers = {"Content-Type": kind} if kind else {}
        return self.client.post("/v1/relay/revocations", content=body, headers=headers)


def make_alone(folder: Path, role: HomeRole = HomeRole.RELAYER) -> Home:
    """A home whose node is not there."""
    EmbeddedStore.create(folder / "store")
    addresses = {name: Address(f"0x{place:040d}") for place, name in enumerate(WIRING, start=1)}
    deployment = Deployment(31337, bytes(32), BlockNumber(1), addresses)
    path = folder / "home"
    (path / "keys").mkdir(parents=True)
    config = {"role": role, "name": "alone", "rpc": NOWHERE, "store": str(folder / "store")}
    (path / "home.json").write_text(json.dumps(config))
    (path / "deployment.json").write_text(deployment.to_json())
    (path / "keys" / "address").write_text("0x" + "22" * 20)
    return Home.open(path, passphrase="")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_alone(tmp_path_factory.mktemp("alone"))


@pytest.fixture(scope="module")
def shared(home: Home) -> Iterator[Alone]:
    with over(home, read_settings(body_bytes=4096, **PATIENT)) as found:
        yield found


@pytest.fixture
def alone(shared: Alone) -> Alone:
    """One server for all, its log empty."""
    shared.log.empty()
    return shared


@contextmanager
def over(
    home: Home, settings: Settings, relaying: Callable[[], bool | None] = lambda: None
) -> Iterator[Alone]:
    log = Logged()
    app = create_app(settings, home, log=make_log(log), relaying=relaying)
    with (
        over_http(app, settings, log) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=600) as client,
    ):
        yield Alone(client, log, url)


def kind_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rpartition("/")[2]


def raw(url: str, text: bytes) -> bytes:
    """What a server answers to bytes that no client would send."""
    with socket.create_connection(place_of(url), timeout=600) as connection:
        connection.sendall(text)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found


def test_a_node_that_is_down_is_told_with_when_to_ask_again(alone: Alone) -> None:
    for path in ("/v1/studies", "/v1/ready", "/v1/studies/1/spec"):
        answer = alone.client.get(path)
        assert (answer.status_code, kind_of(answer)) == (503, "node-unreachable")
        assert int(answer.headers["retry-after"]) > 0
        assert NOWHERE not in answer.text
    assert alone.client.get("/v1/health").status_code == 200
    assert alone.client.get("/metrics").status_code == 200


def test_a_store_that_went_away_is_told(tmp_path: Path) -> None:
    home = make_alone(tmp_path)
    (tmp_path / "store" / "consilium-store-1").unlink()
    with pytest.raises(Unreachable):
        create_app(read_settings(), home)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"key": "0x11', 400, "malformed"),
        (b"", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'"\\ud800"', 422, "invalid"),
        (b"\xff\xfe{}", 400, "malformed"),
        (b"[" * 4000, 400, "malformed"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, 422, "invalid"),
        (b"{" + b'"deadline":' + b"9" * 4000 + b"}", 422, "invalid"),
        (b'{"deadline": 1e999, "nonce": NaN}', 422, "invalid"),
    ],
    ids=["cut", "empty", "null", "array", "half", "bytes", "deep", "deeper", "long", "infinite"],
)
def test_a_body_that_is_no_message_is_one_clear_error(
    alone: Alone, body: bytes, status: int, kind: str
) -> None:
    answer = alone.post(body)
    assert (answer.status_code, kind_of(answer)) == (status, kind), answer.text


def test_wrong_fields_are_named_and_their_values_are_not_told(alone: Alone) -> None:
    body = REVOCATION | {"r": SECRET + "zz", "nonce": -1, "agreement": "1", SECRET: 1}
    body.pop("vs")
    answer = alone.post(json.dumps(body).encode())
    assert (answer.status_code, kind_of(answer)) == (422, "invalid")
    wrong = {item["where"] for item in answer.json()["errors"]}
    assert wrong == {"body.r", "body.nonce", "body.agreement", "body.vs", "body.…"}
    assert SECRET not in answer.text
    assert SECRET not in alone.log.getvalue()


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_what_a_form_of_another_page_can_send_is_no_message(alone: Alone, kind: str) -> None:
    answer = alone.post(json.dumps(REVOCATION).encode(), kind)
    assert (answer.status_code, kind_of(answer)) == (415, "wrong-content-type")


def test_a_charset_does_not_make_json_something_else(alone: Alone) -> None:
    answer = alone.post(json.dumps(REVOCATION).encode(), "Application/JSON; charset=utf-8")
    assert kind_of(answer) != "wrong-content-type"


def test_a_whole_number_may_have_a_point_and_half_a_one_is_none(alone: Alone) -> None:
    whole = alone.post(json.dumps(REVOCATION | {"nonce": 0.0, "deadline": 1e10}).encode())
    assert kind_of(whole) != "invalid"
    for value in (0.5, True, "0", 1e300):
        assert kind_of(alone.post(json.dumps(REVOCATION | {"nonce": value}).encode())) == "invalid"


def test_a_body_is_refused_for_its_stated_and_for_its_real_size(alone: Alone) -> None:
    stated = alone.post(b" " * 5000)
    assert (stated.status_code, kind_of(stated)) == (413, "body-too-large")
    headers = {"Content-Type": "application/json"}
    chunks = (b" " * 1000 for _ in range(100))
    unstated = alone.client.post("/v1/relay/claims", content=chunks, headers=headers)
    assert (unstated.status_code, kind_of(unstated)) == (413, "body-too-large")
    head = b"POST /v1/relay/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n\r\n"
    assert b" 413 " in raw(alone.url, head).splitlines()[0]


def test_who_goes_on_sending_a_body_that_is_refused_still_reads_why(home: Home) -> None:
    # More than the buffers between them hold: what nobody read would reset the connection.
    size = 32 * 1024 * 1024
    head = f"POST /v1/relay/claims HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    with over(home, read_settings(drain_s=60)) as alone:
        assert b" 413 " in raw(alone.url, head.encode() + bytes(size)).splitlines()[0]


def test_a_body_that_never_comes_is_not_waited_for(home: Home) -> None:
    head = b"POST /v1/relay/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{"
    with over(home, read_settings(body_s=0.5)) as alone:
        answer = raw(alone.url, head)
    assert b" 408 " in answer.splitlines()[0]
    assert b"slow-body" in answer


@pytest.mark.parametrize(
    "host", ["attacker.example", "127.0.0.1.attacker.example", "", "127.0.0.1@x", "[::1"]
)
def test_a_name_that_was_rebound_to_this_address_reads_nothing(alone: Alone, host: str) -> None:
    answer = alone.client.get("/v1/health", headers={"Host": host})
    assert (answer.status_code, kind_of(answer)) == (400, "bad-host")


@pytest.mark.parametrize("host", ["127.0.0.1:8645", "localhost", "[::1]:80", "LOCALHOST:1"])
def test_loopback_has_several_names(alone: Alone, host: str) -> None:
    assert alone.client.get("/v1/health", headers={"Host": host}).status_code == 200


def test_a_host_can_be_allowed(home: Home) -> None:
    with over(home, read_settings(hosts="api.example, other.example")) as alone:
        answer = alone.client.get("/v1/health", headers={"Host": "API.example"})
        assert answer.status_code == 200


def test_an_id_of_a_request_is_kept_if_it_is_one(alone: Alone) -> None:
    kept = alone.client.get("/v1/health", headers={"X-Request-Id": "a.good-id_1"})
    assert kept.headers["x-request-id"] == "a.good-id_1"
    for bad in ('a"b', "x" * 65, "a b", "{}", "a\tb"):
        answer = alone.client.get("/v1/nothing", headers={"X-Request-Id": bad})
        assert answer.headers["x-request-id"] != bad
        assert bad not in answer.text
    logged = [json.loads(line)["request_id"] for line in alone.log.getvalue().splitlines()]
    assert len(logged) == 6
    assert logged[0] == "a.good-id_1"


def test_a_line_break_in_a_header_splits_neither_answer_nor_log(alone: Alone) -> None:
    text = b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: a\r b\r\n\r\n"
    answer = raw(alone.url, text)
    assert b"X-Injected" not in answer
    assert all(json.loads(line) for line in alone.log.getvalue().splitlines())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/relay/receipts/..%2f..%2fetc%2fpasswd",
        "/v1/studies/..%2f..%2fhome.json",
        "/v1/models/%00/provenance",
        "/v1/consents/%ff%fe/usage",
        "/v1/relay/receipts/bafyrei%2e%2e%2f/grant",
        "/v1/problems/..%2fhealth",
        "/v1/studies/1/../../../keys",
    ],
)
def test_a_path_that_climbs_finds_nothing(alone: Alone, path: str) -> None:
    answer = alone.client.get(path)
    assert answer.status_code in (404, 422)
    assert kind_of(answer) in ("no-such-resource", "no-such-receipt", "invalid")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "NONSENSE"])
def test_another_method_is_told_which_there_is(alone: Alone, method: str) -> None:
    answer = alone.client.request(method, "/v1/studies/1")
    assert (answer.status_code, kind_of(answer)) == (405, "wrong-method")
    assert answer.headers["allow"] == "GET"


def test_head_tells_what_get_would_without_a_body(alone: Alone) -> None:
    answer = alone.client.head("/v1/health")
    assert (answer.status_code, answer.content) == (200, b"")
    same = alone.client.get("/v1/health")
    assert answer.headers["content-length"] == same.headers["content-length"]


def test_every_answer_says_how_browsers_must_treat_it(alone: Alone) -> None:
    for path in ("/v1/health", "/v1/nothing", "/v1/studies", "/metrics", "/openapi.json"):
        headers = alone.client.get(path, headers={"Origin": "https://page.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        for name in ("access-control-allow-origin", "set-cookie", "server"):
            assert name not in headers


def test_only_origins_on_the_list_may_ask(home: Home) -> None:
    with over(home, read_settings(origins="https://page.example")) as alone:
        for origin, allowed in (("https://page.example", True), ("https://evil.example", False)):
            answer = alone.client.get("/v1/health", headers={"Origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            before = alone.client.options("/v1/relay/claims", headers=asked)
            assert (before.status_code == 200) is allowed


def test_metrics_have_as_many_rows_as_routes_whatever_is_asked(alone: Alone) -> None:
    def rows() -> int:
        return len(alone.client.get("/metrics").text.splitlines())

    for _ in range(2):
        alone.client.get("/v1/nothing")
        alone.client.request("NONSENSE", "/v1/nothing")
        before = rows()
    for number in range(20):
        alone.client.get(f"/v1/{number}")
        alone.client.request(f"METHOD{number}", f"/{number}")
    assert rows() == before


def test_openapi_titles_describes_and_exemplifies_everything(alone: Alone) -> None:
    found = alone.client.get("/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    for path, operations in found["paths"].items():
        for name, operation in operations.items():
            assert operation["summary"], path
            assert operation["description"], (path, name)
            assert "503" in operation["responses"], path
            for parameter in operation.get("parameters", []):
                assert parameter["schema"]["title"], path
                assert parameter["description"] or parameter["schema"]["description"]
    for name, schema in found["components"]["schemas"].items():
        assert schema.get("description"), name
        for key, item in schema.get("properties", {}).items():
            assert item.get("title") or "$ref" in item, (name, key)


def test_every_kind_of_problem_has_a_page(alone: Alone) -> None:
    listed = alone.client.get("/v1/problems").json()
    assert {item["type"] for item in listed} == {f"/v1/problems/{kind}" for kind in KINDS}
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    for kind, found in KINDS.items():
        assert f"| `{kind}`" in text, kind
        assert str(found.status) in text


def test_too_many_at_once_are_told_to_come_again(home: Home) -> None:
    with (
        hanging_node() as rpc,
        over(home, read_settings(in_flight=1, threads=1, rpc=rpc, node_s=8)) as alone,
        socket.create_connection(place_of(alone.url)) as waits,
    ):
        asked = b"GET /v1/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        waits.sendall(asked)
        end = time.monotonic() + 200
        while (answer := alone.client.get("/v1/health")).status_code == 200:
            assert time.monotonic() < end
            if select.select([waits], [], [], 0)[0] and waits.recv(65536):
                waits.sendall(asked)  # it was told that the node is silent, or that others work
        assert (answer.status_code, kind_of(answer)) == (503, "too-busy")
        assert int(answer.headers["retry-after"]) >= 1
        # A withdrawal has places and threads of its own.
        assert kind_of(alone.post(json.dumps(REVOCATION).encode())) == "node-unreachable"


def test_who_sends_slowly_keeps_nobody_waiting(home: Home) -> None:
    with over(home, read_settings(in_flight=1, body_s=600)) as alone, ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(socket.create_connection(place_of(alone.url)))
            head = b"POST /v1/relay/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
            slow.sendall(head + b"\r\n{")
        assert alone.client.get("/v1/health").status_code == 200


def test_a_relayer_that_ended_makes_the_process_not_ready(home: Home) -> None:
    with over(home, read_settings(), relaying=lambda: False) as alone:
        answer = alone.client.get("/v1/ready")
        assert (answer.status_code, kind_of(answer)) == (503, "not-ready")


@contextmanager
def hanging_node() -> Iterator[str]:
    """A node that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def place_of(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def test_a_rate_is_a_senders_and_fills_again() -> None:
    now = [0.0]
    limit = Limit(2, senders=2, clock=lambda: now[0])
    limit.take("10.0.0.1")
    limit.take("10.0.0.1")
    with pytest.raises(ApiProblem, match="again in 30 s"):
        limit.take("10.0.0.1")
    limit.take("10.0.0.2")
    now[0] = 30.5
    limit.take("10.0.0.1")
    for place in range(100):
        limit.take(f"10.0.1.{place}")
    assert len(limit) == 2


def test_addresses_of_one_network_are_one_sender() -> None:
    limit = Limit(1, senders=10, clock=lambda: 0.0)
    limit.take("2001:db8::1")
    with pytest.raises(ApiProblem):
        limit.take("2001:db8::ffff:1")
    limit.take("2001:db8:0:1::1")


def test_a_cache_holds_no_more_than_it_may() -> None:
    cache: Lru[int, str] = Lru(10)
    for key in range(5):
        cache.put(key, "x", 3)
    cache.put(9, "too large", 11)
    assert cache.weight == 9
    assert [cache.get(key) for key in (0, 1, 2, 9)] == [None, None, "x", None]


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (NodeDown(f"no node answers at http://user:pass@host/{SECRET}"), "node-unreachable"),
        (LogsDisagree(SECRET), "unsound-record"),
        (TxReverted("UnknownStudy", {"study": 7}, "Studies.terms"), "no-such-study"),
        (TxReverted("Expired", {}, "Escrow.claimBySig"), "refused"),
        (Unreachable(f"no block store at /{SECRET}"), "store-unreachable"),
        (MissingBlock(SECRET), "not-in-store"),
        (Unanswered(SECRET), "store-unreachable"),
        (CorruptBlock(SECRET), "unsound-record"),
        (RecordError(SECRET), "unsound-record"),
        (StepError("the round is not open"), "not-now"),
        (ValueError(SECRET), "internal"),
    ],
)
def test_errors_become_problems_that_tell_nothing_of_this_machine(
    exc: Exception, kind: str
) -> None:
    found = problem_of(exc)
    assert found.kind == kind
    assert SECRET not in json.dumps(found.body("id"))


def test_what_was_not_foreseen_shows_neither_text_nor_trace(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError(f"17.99 malignant {SECRET}")

    monkeypatch.setattr("api.server.studies._page", fails)
    monkeypatch.setattr("api.server.studies.ask", _straight)
    with over(home, read_settings()) as alone:
        answer = alone.client.get("/v1/studies", headers={"X-Request-Id": "this-one"})
        assert (answer.status_code, kind_of(answer)) == (500, "internal")
        line = json.loads(alone.log.getvalue().splitlines()[0])
        assert line["why"].startswith("unforeseen ValueError at test_server_border.py")
        assert line["request_id"] == "this-one"
        for text in (answer.text, alone.log.getvalue()):
            assert SECRET not in text
            assert "Traceback" not in text


async def _straight(_: object, work: Any) -> Any:
    return work(None)


def failing(capsys: pytest.CaptureFixture[str], home: Path, *options: str, status: int = 1) -> str:
    """The one line of a start that fails."""
    ports = () if "--port" in options else ("--port", "0")
    assert main(["--home", str(home), "serve", *options, *ports]) == status
    error = capsys.readouterr().err
    assert error.startswith("consilium: ")
    assert error.count("\n") == 1
    return error


def test_a_port_that_is_taken_is_one_clear_error(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is taken" in failing(capsys, home.path, "--port", port)


@pytest.mark.parametrize(
    ("options", "variables", "status", "words"),
    [
        (["--host", "0.0.0.0"], {}, 1, "--expose"),
        (["--host", "192.0.2.1", "--expose"], {}, 1, "correct --host"),
        (["--port", "99999"], {}, 2, "less than or equal to 65535"),
        (["--relay"], {}, 1, "not of a relayer"),
        ([], {"CONSILIUM_API_IN_FLIGHT": "none"}, 1, "in_flight"),
        (["--store", "/nonexistent/store"], {}, 1, "no block store at /nonexistent/store"),
    ],
)
def test_a_wrong_start_is_one_clear_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    variables: dict[str, str],
    status: int,
    words: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(PASSPHRASE, "a passphrase of this test")
    home = make_alone(tmp_path, HomeRole.AUDITOR)
    assert words in failing(capsys, home.path, *options, status=status)


def test_to_send_needs_the_right_passphrase_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = make_alone(tmp_path)
    path = tmp_path / "relayer"
    Home.create(path, alone.config, alone.deployment().to_json(), "right", light=True)
    monkeypatch.delenv(PASSPHRASE, raising=False)
    assert PASSPHRASE in failing(capsys, path, "--relay")
    monkeypatch.setenv(PASSPHRASE, "wrong")
    assert "passphrase" in failing(capsys, path, "--relay")


def test_settings_come_from_the_environment_and_wrong_ones_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONSILIUM_API_PORT", "1234")
    monkeypatch.setenv("CONSILIUM_API_ORIGINS", "https://a.example, https://b.example")
    found = read_settings()
    assert found.port == 1234
    assert found.allowed_origins == ("https://a.example", "https://b.example")
    assert read_settings(port=1).port == 1
    monkeypatch.setenv("CONSILIUM_API_PORT", "many")
    with pytest.raises(ApiError, match="port: input should be a valid integer"):
        read_settings()


def test_a_home_without_a_deployment_is_told(tmp_path: Path) -> None:
    EmbeddedStore.create(tmp_path / "store")
    config = HomeConfig(HomeRole.PATIENT, "x", NOWHERE, str(tmp_path / "store"))
    home = Home.create(tmp_path / "home", config, None)
    with pytest.raises(HomeError, match=r"deployment\.json"):
        create_app(read_settings(), home)
