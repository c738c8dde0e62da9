"""The bridge page: a button into Telegram instead of a redirect, where a link asks for one.

Built from the bot's name and the token alone, so everyone gets the same. It asks for nothing more: no image, no font, no
script from anywhere. Without its script it is two links.
"""

from base64 import b64encode
from hashlib import sha256
from html import escape
from urllib.parse import quote

Headers = list[tuple[bytes, bytes]]

_STYLE = """
:root{color-scheme:light dark;--page:#f3f5f7;--card:#fff;--text:#17212b;--soft:#4a5866;--link:#155a8a;--button:#17639a}
@media(prefers-color-scheme:dark){:root{--page:#0e1621;--card:#17212b;--text:#f3f5f7;--soft:#b4c2cf;--link:#8cc8f5}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:1rem;
background:var(--page);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:26rem;padding:2rem 1.5rem;border-radius:1rem;background:var(--card);text-align:center}
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 .5rem;overflow-wrap:anywhere}
[lang=en]{display:block;color:var(--soft);font-size:.9em;font-weight:400}
.app{display:block;margin:1.5rem 0;padding:.8rem 1rem;border-radius:.75rem;background:var(--button);color:#fff;
font-size:1.2rem;font-weight:600;text-decoration:none}
.app [lang=en]{color:#fff}
.web{display:inline-block;padding:.5rem;color:var(--link)}
.web [lang=en]{color:inherit}
a:focus-visible{outline:3px solid var(--text);outline-offset:3px}
"""
# When the app has not come to the front 1.5 s after the button was pressed, go on by https.
_SCRIPT = """
(function(){
var wait,stop=function(){clearTimeout(wait)},web=document.getElementById("web").href;
document.getElementById("app").addEventListener("click",function(){
stop();wait=setTimeout(function(){location.href=web},1500)});
document.addEventListener("visibilitychange",function(){if(document.hidden)stop()});
addEventListener("blur",stop);addEventListener("pagehide",stop)})()
"""
_HEAD = f"""<!doctype html>
<html lang="pt-BR">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>Continue no Telegram</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Continue no Telegram <span lang="en">Continue in Telegram</span></h1>
"""
_TAIL = f"""</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Bridge:
    """Makes bridge pages. `telegram_host` is where the link for browsers leads."""

    def __init__(self, telegram_host: str) -> None:
        self._host = telegram_host

    def page(self, bot: str, token: str) -> tuple[bytes, Headers]:
        """The page for that bot and token, and the headers that it needs beside the common ones."""
        name, start = quote(bot, safe=""), quote(token, safe="")
        body = (
            f"{_HEAD}"
            f"<p>A conversa é com <strong>@{escape(bot)}</strong>. Lá, toque em INICIAR.\n"
            '<span lang="en">Your chat is waiting there. Then press START.</span></p>\n'
            f'<a class="app" id="app" href="tg://resolve?domain={name}&amp;start={start}">Abrir o Telegram\n'
            '<span lang="en">Open Telegram</span></a>\n'
            f'<a class="web" id="web" href="https://{escape(self._host)}/{name}?start={start}">'
            f"Não abriu? Continue por {escape(self._host)}\n"
            f'<span lang="en">It did not open? Continue on {escape(self._host)}</span></a>\n'
            f"{_TAIL}"
        ).encode()
        return body, [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _POLICY.encode("ascii")),
            (b"content-length", str(len(body)).encode("ascii")),
        ]
