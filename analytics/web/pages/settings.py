"""Settings: what is in force, versions, what the doctor says, API keys, users."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version

from starlette.responses import Response

from analytics.web.page import Ask, Missing, Page
from analytics.web.shown_settings import shown_settings
from domain.errors import ConfigError
from domain.users import ROLES, Role
from privacy.api_keys import api_key_names, make_api_key, revoke_api_key
from privacy.passwords import Passwords

OWNERS: tuple[Role, ...] = ("owner",)


async def show(ask: Ask) -> Response:
    """All of it."""
    return await _page(ask)


async def checks(ask: Ask) -> Response:
    """What `trilha doctor` says now. Seconds may pass: it asks every store."""
    if ask.tools.doctor is None:
        raise Missing
    return ask.render("checks", findings=await ask.tools.doctor())


async def make_key(ask: Ask) -> Response:
    """A new API key, shown this once: it is not kept, so there is no page to go on to that could show it."""
    name = (await ask.form()).get("name", "").strip()
    try:
        key = await asyncio.to_thread(make_api_key, ask.tools.settings.api_keys, name)
    except ConfigError as error:
        return await _page(ask, mistake=str(error), typed_key=name)
    await ask.audit("api key make", key=name)
    return await _page(ask, made=(name, key))


async def revoke_key(ask: Ask) -> Response:
    """End every key of a name."""
    name = (await ask.form()).get("name", "")
    await asyncio.to_thread(revoke_api_key, ask.tools.settings.api_keys, name)
    await ask.audit("api key revoke", key=name)
    return ask.go("/settings", "settings.key_revoked")


async def add_user(ask: Ask) -> Response:
    """A new user, with a first password that the owner tells them."""
    fields = await ask.form()
    name = fields.get("name", "").strip()
    try:
        role = _role(fields.get("role", ""))
        added = await ask.tools.users.add(name, role, await Passwords().hash(fields.get("password", "")))
    except ConfigError as error:
        return await _page(ask, mistake=str(error), typed_user=(name, fields.get("role", "")))
    await ask.audit("user add", whom=added.id, role=role)
    return ask.go("/settings", "settings.user_added")


async def change_role(ask: Ask) -> Response:
    """Another role for a user."""
    fields = await ask.form()
    return await _change(ask, "role", fields.get("name", ""), fields.get("role", ""))


async def reset_password(ask: Ask) -> Response:
    """Another password for a user, who is signed out everywhere."""
    fields = await ask.form()
    return await _change(ask, "password", fields.get("name", ""), fields.get("password", ""))


async def remove_user(ask: Ask) -> Response:
    """A user may sign in no more."""
    return await _change(ask, "remove", (await ask.form()).get("name", ""), "")


async def _change(ask: Ask, what: str, name: str, value: str) -> Response:
    users = ask.tools.users
    try:
        if what == "role":
            changed = await users.set_role(name, _role(value))
        elif what == "password":
            changed = await users.set_password(name, await Passwords().hash(value))
        else:
            changed = await users.remove(name)
    except ConfigError as error:
        return await _page(ask, mistake=str(error))
    detail = {"role": value} if what == "role" else {}
    await ask.audit(f"user {what}", whom=changed.id, **detail)
    return ask.go("/settings", f"settings.user_{what}")


def _role(text: str) -> Role:
    role = next((known for known in ROLES if known == text), None)
    if role is None:
        raise ConfigError(f"not a role: {text!r}. Use one of {', '.join(ROLES)}")
    return role


async def _page(
    ask: Ask,
    *,
    mistake: str = "",
    made: tuple[str, str] | None = None,
    typed_key: str = "",
    typed_user: tuple[str, str] = ("", "analyst"),
) -> Response:
    names, key_trouble = await asyncio.to_thread(_key_names, ask)
    return ask.render(
        "settings",
        status=422 if mistake else 200,
        settings=shown_settings(ask.tools.settings),
        versions=await _versions(ask),
        keys={name: names.count(name) for name in names},
        key_trouble=key_trouble,
        users=await ask.tools.users.all() if ask.user.role == "owner" else [],
        roles=ROLES,
        mistake=mistake,
        made=made,
        typed_key=typed_key,
        typed_user=typed_user,
        has_doctor=ask.tools.doctor is not None,
    )


def _key_names(ask: Ask) -> tuple[list[str], str]:
    try:
        return api_key_names(ask.tools.settings.api_keys), ""
    except ConfigError as error:
        return [], str(error)


async def _versions(ask: Ask) -> dict[str, str]:
    try:
        ours = version("trilha")
    except PackageNotFoundError:
        ours = ""
    of_sql = await ask.tools.sql_versions() if ask.tools.sql_versions else {}
    return {"trilha": ours, "Python": sys.version.split()[0], **of_sql}


def _post(path: str, handler: Callable[[Ask], Awaitable[Response]]) -> Page:
    return Page(path=path, handler=handler, methods=("POST",), roles=OWNERS, menu="settings")


PAGES = (
    Page(path="/settings", handler=show, menu="settings"),
    Page(path="/settings/checks", handler=checks, menu="settings"),
    _post("/settings/keys", make_key),
    _post("/settings/keys/revoke", revoke_key),
    _post("/settings/users", add_user),
    _post("/settings/users/role", change_role),
    _post("/settings/users/password", reset_password),
    _post("/settings/users/remove", remove_user),
)
