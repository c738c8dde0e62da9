"""trilha user: who may use the dashboard."""

from typing import Annotated, Any

import typer

from backends.sql.audit import SqlAudit
from backends.sql.users import SqlUsers
from cli.common import (
    CLOCK,
    EXIT_FAILED,
    Json,
    local_time,
    read_secret,
    run,
    settings,
    show,
    show_table,
    sql_of,
)
from domain.clock import iso
from domain.users import ListedUser, Role, User
from privacy.passwords import Passwords, valid_password

users = typer.Typer(help="Users of the dashboard.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Their name, in whatever case.")]
Source = Annotated[
    str,
    typer.Option(
        "--password-file",
        help="File with the password, 0600; '-' asks for it, or reads it from standard input.",
    ),
]


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="1-64 letters, digits, '.', '_', '@' and '-'.")],
    role: Annotated[Role, typer.Option("--role", help="What they may see and do.")],
    source: Source = "-",
    as_json: Json = False,
) -> None:
    """Let somebody use the dashboard. Asks for a password of at least 12 characters."""
    secret = _password_of(source)

    async def add(store: SqlUsers) -> User:
        return await store.add(name, role, await Passwords().hash(secret))

    user = _change("user add", add)
    show(_json(user), as_json=as_json, text=f"{user.name} may sign in, as {user.role}")


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """Who may use the dashboard."""
    given = settings()

    async def load() -> list[ListedUser]:
        async with sql_of(given) as engine:
            return await SqlUsers(engine, CLOCK).all()

    found = run(load())
    if as_json:
        show([_listed(item) for item in found], as_json=True, text="")
        return
    rows = [
        [
            str(item.user.id),
            item.user.name,
            item.user.role,
            str(item.sessions),
            local_time(item.seen_ms, given),
        ]
        for item in found
    ]
    show_table(
        ["no.", "name", "role", "sessions", "last seen"],
        rows,
        empty="no users yet. Add one: trilha user add NAME --role owner",
    )


@users.command("password")
def set_password(name: Name, source: Source = "-", as_json: Json = False) -> None:
    """Give a user another password. Every session of theirs ends."""
    secret = _password_of(source)

    async def change(store: SqlUsers) -> User:
        return await store.set_password(name, await Passwords().hash(secret))

    user = _change("user password", change)
    show(_json(user), as_json=as_json, text=f"{user.name} has another password; their sessions have ended")


@users.command("role")
def set_role(
    name: Name,
    role: Annotated[Role, typer.Argument(help="owner, analyst or dpo.")],
    as_json: Json = False,
) -> None:
    """Give a user another role, from their next request on."""
    user = _change("user role", lambda store: store.set_role(name, role))
    show(_json(user), as_json=as_json, text=f"{user.name} is {user.role}")


@users.command("remove")
def remove_user(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a user and end their sessions. The last owner stays."""
    if not yes and not typer.confirm(f"Remove {name}?", err=True):
        raise typer.Exit(EXIT_FAILED)
    user = _change("user remove", lambda store: store.remove(name))
    show(_json(user), as_json=as_json, text=f"{user.name} is removed")


def _password_of(source: str) -> str:
    """One line; what ends it is not part of it."""
    return valid_password(read_secret(source, "password").removesuffix("\n").removesuffix("\r"))


def _change(action: str, change: Any) -> User:
    given = settings()

    async def whole() -> User:
        async with sql_of(given) as engine:
            user: User = await change(SqlUsers(engine, CLOCK))
            await SqlAudit(engine, CLOCK).note(action, {"whom": user.id, "role": user.role})
            return user

    return run(whole())


def _json(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role}


def _listed(item: ListedUser) -> dict[str, Any]:
    return (
        {"id": item.user.id}
        | _json(item.user)
        | {
            "created_at": iso(item.created_ms),
            "sessions": item.sessions,
            "seen_at": None if item.seen_ms is None else iso(item.seen_ms),
        }
    )
