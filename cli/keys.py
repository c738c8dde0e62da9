"""trilha keys: the key ring and the API keys."""

from typing import Annotated

import typer

from cli.common import CLOCK, Json, settings, show
from daemon.api_keys import make_api_key
from privacy.keyring import Keyring

keys = typer.Typer(
    help="The key ring (sealing, pseudonyms, tokens) and the keys of the API.", no_args_is_help=True
)


@keys.command()
def create() -> None:
    """Make the key ring. Back it up apart from the data: without it nothing sealed can be opened."""
    path = settings().secrets
    Keyring.create(path, CLOCK)
    print(f"made {path} (0600). Keep a copy of it apart from the data")


@keys.command("list")
def list_keys(as_json: Json = False) -> None:
    """Which keys there are; never a key itself."""
    found = Keyring(settings().secrets, CLOCK).describe()
    show(found, as_json=as_json, text="\n".join(f"{name}: {value}" for name, value in found.items()))


@keys.command()
def rotate_mac(
    force: Annotated[
        bool, typer.Option("--force", help="Even if that ends tokens that are still valid.")
    ] = False,
) -> None:
    """Mint tokens with a new key. Tokens of the key before it stay valid; a second rotation ends them."""
    given = settings()
    ring = Keyring(given.secrets, CLOCK)
    ring.rotate_mac(window_days=given.attribution_days, force=force)
    print(f"minting with MAC key {ring.mac_key()[0]}; running daemons follow within a minute")


@keys.command()
def api(name: Annotated[str, typer.Argument(help="Who uses it, such as `shop-bot`.")]) -> None:
    """Make an API key. It is printed once; only its hash is kept."""
    print(make_api_key(settings().api_keys, name))
