"""A bot on a webhook with nothing but Python: it tells Trilha of every START, and greets in any case.

Put a proxy with TLS before it, and tell Telegram where it is, once:

    curl "https://api.telegram.org/bot$BOT_TOKEN/setWebhook" -d url=https://bot.example.com/ -d secret_token="$SECRET"
"""

import hmac
import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BOT = os.environ["BOT_USERNAME"]
SECRET = os.environ["SECRET"]
TRILHA_URL = os.environ["TRILHA_URL"]
TRILHA_KEY = os.environ["TRILHA_KEY"]
PORT = int(os.environ.get("PORT", "8090"))
MAX_BODY = 256 * 1024
ATTEMPTS = 2


def payload_of(text: str) -> tuple[bool, str | None]:
    """Whether a text is a start, and its payload: `/start`, `/start TOKEN`, `/start@bot TOKEN`."""
    command, *payload = text.split(maxsplit=1) or [""]
    return command.partition("@")[0] == "/start", payload[0].strip() if payload else None


def post_start(start: dict) -> dict | None:
    """Trilha's answer; None when it refuses the token. Raises OSError when it cannot be asked."""
    request = urllib.request.Request(
        TRILHA_URL + "/v1/starts",
        data=json.dumps(start).encode(),
        headers={"Authorization": "Bearer " + TRILHA_KEY},
    )
    try:
        # While SQL is away an answer takes about two and a half seconds.
        with urllib.request.urlopen(request, timeout=4) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 422 and json.load(error)["error"] == "invalid_token":
            return None
        raise


def click_of(message: dict, token: str | None) -> dict | None:
    """The click behind a start, or None. Never raises: no trouble of tracking keeps a person from the bot."""
    start = {
        "bot": BOT,
        "telegram_id": message["chat"]["id"],
        "token": token,
        # The same number for the same message: sending it again is safe.
        "update_id": message["message_id"],
    }
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            # A payload that is no token of Trilha's is a direct start.
            answer = post_start(start) or post_start(start | {"token": None})
            return answer["click"] if answer else None
        except (OSError, ValueError, KeyError) as error:
            reason = type(error).__name__
    print("a start was not tracked:", reason, file=sys.stderr)
    return None


def answer_to(update: dict) -> dict:
    """The method that Telegram is to carry out; an empty object: none."""
    message = update.get("message") or {}
    is_start, token = payload_of(message.get("text") or "")
    if not is_start or message["chat"]["type"] != "private":
        return {}
    click = click_of(message, token)
    campaign = click["utm"].get("utm_campaign") if click else None
    text = f"Welcome! You came by {campaign}." if campaign else "Welcome!"
    return {"method": "sendMessage", "chat_id": message["chat"]["id"], "text": text}


class Webhook(BaseHTTPRequestHandler):
    """Telegram's calls."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        """One update."""
        size = int(self.headers.get("Content-Length") or 0)
        given = self.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(given.encode(), SECRET.encode()) or not 0 < size <= MAX_BODY:
            self.close_connection = True
            self.answer(401, {})
            return
        self.answer(200, answer_to(json.loads(self.rfile.read(size))))

    def answer(self, status: int, body: dict) -> None:
        """Send an object as JSON."""
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Nothing: what was asked is personal."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Webhook).serve_forever()
