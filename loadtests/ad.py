"""The one request of every rung: a click on an Instagram ad, as the in-app browser on an Android phone sends it."""

from __future__ import annotations

SLUG = "promo"
BOT = "ladder_bot"
PATH = (
    f"/go/{SLUG}?utm_source=FB&utm_medium=cpc"
    "&utm_campaign=Campanha%7C120210987654321098"
    "&utm_content=An%C3%BAncio%2003%7C120210987654341098"
    "&utm_term=Instagram_Stories"
    "&fbclid=PAZXh0bgNhZW0BMABhZGlkAasXobKWzHoJL0pqPkw_5FXU4Eoupk08fAOWWOOJntOoM57Qj1JQP1ozeARaQS_aem_tGYxfEANvSUYmw9zFWkMq"
)
HEADERS = {
    "Host": "go.example.com",
    "User-Agent": (
        "Mozilla/5.0 (Linux; Android 14; SM-A546E Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Version/4.0 Chrome/131.0.6778.135 Mobile Safari/537.36 Instagram 361.0.0.46.88 Android"
    ),
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "pt-BR,pt;q=0.9,en-US;q=0.8,en;q=0.7",
    "Referer": "http://m.facebook.com/",
    "X-Requested-With": "com.instagram.android",
    "X-Forwarded-For": "203.0.113.57",
    "X-Forwarded-Proto": "https",
}


def click_bytes() -> bytes:
    """The click as it goes over the wire."""
    return _request("GET", PATH, HEADERS, "")


def start_headers(key: str) -> dict[str, str]:
    """The headers of a start, as a bot sends it to the private listener."""
    return {"Host": "127.0.0.1", "Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def start_bytes(key: str, body: str) -> bytes:
    """One start as it goes over the wire."""
    return _request("POST", "/v1/starts", start_headers(key), body)


def _request(method: str, path: str, headers: dict[str, str], body: str) -> bytes:
    given = headers | ({"Content-Length": str(len(body))} if body else {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("ascii")
