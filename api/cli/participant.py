"""`consilium participant`: a home with keys, admission, published keys, coins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import AsJson
from api.cli.participant_admission import admit, dismiss
from api.cli.participant_keys import register, renew_key
from api.cli.place import open_home, place
from api.cli.show import group, json_object, pairs, say, write_file
from api.cli.values import address, amount, tokens
from api.errors import ApiError
from api.home import PASSPHRASE, Home, HomeConfig, HomeRole
from api.outbox import move_outbox as move
from api.settings import signer_of
from chain.client import Client
from chain.client import fund as send_coins
from chain.clock import Clock
from chain.contracts import Contracts
from chain.deploy import MINTABLE
from chain.errors import NotDevelopment
from chain.keys import passphrase_from
from chain.types import Address, Wei
from federated.directory import name_of
from federated.party import Party
from storage.backends import EMBEDDED, backend_of, reach_store
from storage.embedded import EmbeddedStore

app = group(
    """Make a home with keys, be admitted, publish keys, get coins.

    Example: consilium --home homes/north participant init --role hospital --name north
    """
)

CARD = "participant.json"
COIN_DECIMALS = 18


@app.command()
def init(
    role: Annotated[HomeRole, typer.Option(help="Who the home belongs to.")],
    name: Annotated[str, typer.Option(help="How others call it; a hospital keeps it for good.")],
    rpc: Annotated[str, typer.Option(envvar="CONSILIUM_RPC", help="The node's address.")],
    store: Annotated[
        str,
        typer.Option(
            help="The store's folder, which an operator makes; http://HOST:PORT of the home's own "
            "IPFS node; or cluster:FILE, the member.json of its node in a swarm with copies."
        ),
    ],
    deployment: Annotated[
        Path | None, typer.Option(help="deployment.json; an operator makes it later.")
    ] = None,
    relayer: Annotated[
        str | None, typer.Option(help="Who sends for this home: an address or participant.json.")
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option(
            envvar="CONSILIUM_SIGNER_ACCOUNT",
            help="The account whose key the Web3Signer at CONSILIUM_SIGNER_URL keeps.",
        ),
    ] = None,
    light_kdf: Annotated[
        bool,
        typer.Option(
            "--light-kdf",
            envvar="CONSILIUM_LIGHT_KDF",
            help="Let the passphrase be guessed 32 times faster: for keys that guard nothing.",
        ),
    ] = False,
) -> None:
    """Make a home with new keys; a patient's gets a recovery phrase to write on paper.

    Other roles than a patient's need a passphrase in CONSILIUM_PASSPHRASE or a file that
    CONSILIUM_PASSPHRASE_FILE names.

    Example: consilium --home homes/north participant init --role hospital --name north --rpc
    http://127.0.0.1:8545 --store store --deployment deployment.json
    """
    if deployment is None and role is not HomeRole.OPERATOR:
        raise ApiError("--deployment is missing: get deployment.json from the operator")
    text = None if deployment is None else deployment.read_text("utf-8")
    where = _store(store, made=role is HomeRole.OPERATOR)
    passphrase = "" if role is HomeRole.PATIENT else passphrase_from(os.environ, PASSPHRASE)
    sender = "" if relayer is None else address(relayer)
    kept = "" if signer is None or role is HomeRole.PATIENT else signer_of(address(signer)).address
    config = HomeConfig(role, name, rpc, where, sender, kept)
    home = Home.create(place().home, config, text, passphrase, light=light_kdf)
    if role is HomeRole.PATIENT:
        say((home.path / "phrase.txt").read_text("utf-8").strip())
        say("write these 12 words on paper: with them every consent and reward is found again")
        return
    card = {"name": name, "role": role.value, "address": home.address()}
    write_file(home.path / CARD, json.dumps(card, indent=1) + "\n")
    (home.path / CARD).chmod(0o644)
    say(f"{home.address()}")
    say(f"hand {home.path / CARD} to the operator, who admits you")


app.command()(admit)
app.command()(dismiss)
app.command()(register)
app.command("renew-key")(renew_key)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show the home's account: role, keys, coins, development tokens.

    Example: consilium --home homes/north participant show
    """
    home = open_home()
    if home.config.role is HomeRole.PATIENT:
        pairs([("name", home.config.name), ("role", "patient"), ("keys", "one for each agreement")])
        return
    found = _account(home)
    if as_json:
        json_object(found)
    else:
        pairs(found.items())


@app.command()
def fund(
    who: Annotated[list[str] | None, typer.Argument(help="Accounts; else the home's own.")] = None,
    coins: Annotated[str, typer.Option(help="Coins for gas.")] = "10",
    mint: Annotated[str, typer.Option("--tokens", help="Development tokens.")] = "0",
) -> None:
    """Give accounts coins, and development tokens where the deployment has them.

    On a chain for development coins are made; elsewhere the home's account sends them.

    Example: consilium --home homes/operator participant fund homes/north/participant.json --tokens
    10
    """
    home = open_home()
    client = home.client(place().rpc)
    wei, units = amount(coins, COIN_DECIMALS), amount(mint, COIN_DECIMALS)
    for to in [address(item) for item in who] if who else [home.address()]:
        _give(client, to, wei)
        if units:
            _mint(Contracts(client, home.deployment()), to, units)
        say(f"{to} has {coins} coins and {mint} tokens more")


@app.command("move-outbox")
def move_outbox() -> None:
    """Move the file of signed transactions into the database that CONSILIUM_OUTBOX_URL names.

    Stop what runs in this home before; afterwards every command needs the variable, or its _FILE.

    Example: consilium --home homes/relayer participant move-outbox
    """
    home = open_home()
    name = move(home.path, home.deployment().genesis, home.address())
    say(f"transactions are in {name}; outbox.sqlite.moved is a copy that nothing reads")


def _store(named: str, *, made: bool) -> str:
    """What home.json calls the store that is there, or is `made` now. Raises `Unreachable`."""
    where = named if backend_of(named) != EMBEDDED else str(Path(named).resolve())
    if made and backend_of(where) == EMBEDDED:
        EmbeddedStore.create(where)
    reach_store(where)
    return where


def _give(client: Client, to: Address, wei: Wei) -> None:
    if not wei:
        return
    if not Clock(client.node).is_development:
        send_coins(client, to, wei)
        return
    held = client.node.balance(to, block="latest")
    client.node.request("anvil_setBalance", to, hex(held + wei))
    client.node.request("evm_mine")


def _mint(chain: Contracts, to: Address, units: Wei) -> None:
    if MINTABLE not in chain.deployment.addresses:
        raise NotDevelopment("this deployment has no development token: buy the study's token")
    chain.client.send(chain.token(chain.deployment.address_of(MINTABLE)).mint(to, units))


def _account(home: Home) -> dict[str, object]:
    party: Party = home.party(place().rpc)
    block = party.head()
    keys = party.chain.participants.keys_at(party.address, block, block_identifier=block)
    role = party.chain.participants.role_of(party.address, block_identifier=block)
    found: dict[str, object] = {
        "name": home.config.name,
        "home": home.config.role.value,
        "address": party.address,
        "role": role.name.lower(),
        "admitted as": name_of(party.chain, party.store, party.address, block) or "-",
        "keys from block": keys.from_block or "not published",
        "coins": tokens(party.chain.client.node.balance(party.address, block=block), COIN_DECIMALS),
    }
    if MINTABLE in party.chain.deployment.addresses:
        token = party.chain.token(party.chain.deployment.address_of(MINTABLE))
        held = token.balance_of(party.address, block_identifier=block)
        found["development tokens"] = tokens(held, COIN_DECIMALS)
    return found
