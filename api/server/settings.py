"""What the API is told: by options of `consilium serve`, else by CONSILIUM_API_… variables."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.errors import ApiError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Settings(BaseSettings):
    """Names end with their unit. A rate is requests a minute from one sender."""

    model_config = SettingsConfigDict(env_prefix="CONSILIUM_API_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(8645, ge=0, le=65535)
    rpc: str | None = None
    store: str | None = None
    hosts: str = ""
    origins: str = ""
    threads: int = Field(8, ge=1, le=64)
    in_flight: int = Field(64, ge=1, le=10_000)
    request_s: float = Field(20, gt=0, le=600)
    node_s: float = Field(5, gt=0, le=60)
    body_s: float = Field(10, gt=0, le=600)
    drain_s: float = Field(1, ge=0, le=60)
    body_bytes: int = Field(256 * 1024, ge=1024, le=16 * 1024 * 1024)
    head_age_s: int = Field(300, ge=0)
    read_rate: int = Field(240, ge=1)
    relay_rate: int = Field(30, ge=1)
    senders: int = Field(4096, ge=1)
    cache_bytes: int = Field(32 * 1024 * 1024, ge=0)
    cache_leaves: int = Field(200_000, ge=0)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Names under which the API may be asked: any other may be a rebound one."""
        return frozenset({*LOOPBACK, self.host.lower(), *_names(self.hosts.lower())})

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Pages of other origins that may ask (CORS); none unless named."""
        return _names(self.origins)


def read_settings(**given: object) -> Settings:
    """Settings from the environment, with the options given. Raises `ApiError`."""
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}"
            for item in exc.errors(include_input=False, include_url=False)
        )
        raise ApiError(f"settings of the API: {wrong}; see docs/api.md") from exc


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
