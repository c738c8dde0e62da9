"""What a user agent says of itself: the app, the program, or the browser, system and device.

Whoever names itself as a program is one; then come the apps with browsers of their own, and only then what guesses.
Guessing first takes paid visitors for robots: lists of crawlers hold `fb_iab` and `bytedance`, and CUBOT makes phones.
"""

import re
from functools import lru_cache

from is_bot import Bots  # type: ignore[import-untyped]
from ua_parser import Domain, load_lazy_builtins
from ua_parser.regex import Resolver

from daemon.enrich.names import APPS, LIBRARIES, ROBOTS, App, Robot
from domain.enrichment import Agent, Device

MAX_USER_AGENT = 1024
MAX_NAME = 40

# Variants of one browser or system under one name: device and system say the rest.
_BROWSERS = {
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Android WebView",
    "Android": "Android Browser",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "iOS WebView",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Edge Mobile": "Edge",
    "Opera Mobile": "Opera",
    "Opera Touch": "Opera",
}
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}

# A browser of the usual build has no room for a robot's name but the model of its device.
_USUAL_BROWSER = re.compile(
    r"""Mozilla/5\.0[ ]\((?:
        Windows[ ]NT[ ][\d.]+(?:;[ ](?:Win64|WOW64|x64|ARM64))*
      | Macintosh;[ ]Intel[ ]Mac[ ]OS[ ]X[ ][\d._]+
      | X11;[ ](?:Ubuntu;[ ]|Fedora;[ ])?(?:Linux|CrOS)[ ]\w+(?:[ ][\d.]+)?
      | (?:iPhone|iPad|iPod[ ]touch);[ ]CPU[ ](?:iPhone[ ])?OS[ ][\d_]+[ ]like[ ]Mac[ ]OS[ ]X
      | (?:Linux;[ ])?(?:U;[ ])?Android[ ][\d.]+(?P<model>;(?:[^()]|\([^()]*\))*)?
    )(?:;[ ]rv:[\d.]+)?\)[ ]
    (?: Gecko/[\d.]+[ ]Firefox/[\d.]+
      | AppleWebKit/[\d.]+[ ]\(KHTML,[ ]like[ ]Gecko\)
        (?:[ ](?:Version|Chrome|CriOS|FxiOS|EdgiOS|Mobile|Safari|Edg|EdgA|Edge|Brave|OPR|OPT|SamsungBrowser|Silk|YaBrowser
           |Vivaldi|DuckDuckGo|Ddg|XiaoMi/MiuiBrowser|UCBrowser|HuaweiBrowser|HeyTapBrowser|VivoBrowser
           )(?:/[\w.-]+)?)*
    )""",
    re.VERBOSE,
)
_NOT_A_MODEL = re.compile(r"bot|crawl|spider|scrap|http|www|@|headless|preview|monitor|agent")
# Makers and parts of devices in whose names patterns see a robot: CUBOT phones, televisions of LG.
_DEVICES = re.compile(r"cubot|webappmanager", re.IGNORECASE)
_ROBOT_NAME = re.compile(
    r"\b[a-z][\w-]{0,36}(?:bot|crawler|spider)\b|^(?!mozilla|opera)[a-z][\w-]{0,39}(?=/)", re.IGNORECASE
)
_TV = (
    *("web0s", "webos", "smart-tv", "smarttv", "hbbtv", "netcast", "bravia", "googletv", "android tv"),
    *("appletv", "; aft", "roku", "crkey", "viera", "aquos", "philipstv", " tv "),
)
_OTHER = ("playstation", "xbox", "nintendo", "watch", "oculus", "kindle/")
_TABLET = ("ipad", "tablet", "playbook", "kindle")
_PHONE = (
    *("iphone", "mobile", "phone", "ipod", "fban/fb4a", "opera mini", "midp", "kaios", "symbian"),
    *("blackberry", "ucweb"),
)
_DESKTOP = ("windows", "macintosh", "x11", "linux")
_KINDS: tuple[tuple[Device, tuple[str, ...]], ...] = (
    ("tv", _TV),
    ("other", _OTHER),
    ("tablet", _TABLET),
    ("phone", _PHONE),
)


class Agents:
    """Reads user agents, and remembers the last ones in memory: most visitors come with one that came before."""

    def __init__(self, remembered: int = 4096) -> None:
        self._bots = Bots()
        self._bots.is_bot("")  # compiles its patterns now, and not while clicks wait
        browsers, systems, _ = load_lazy_builtins()
        self._resolve = Resolver((browsers, systems, []))
        self._remembered = lru_cache(maxsize=remembered)(self._read)

    def of(self, user_agent: str) -> Agent:
        """What it says. Any text gives an answer; of a longer one, the first 1024 characters are read."""
        return self._remembered(user_agent[:MAX_USER_AGENT])

    def _read(self, user_agent: str) -> Agent:
        text = user_agent.encode("utf-8", "replace").decode()
        lowered = text.lower()
        if robot := ROBOTS.first_in(lowered):
            return _program(robot)
        if app := APPS.first_in(lowered):
            return self._in_app(app, text, lowered)
        if robot := LIBRARIES.first_in(lowered) or self._guessed(text):
            return _program(robot)
        return self._browser(text, lowered)

    def _guessed(self, text: str) -> Robot | None:
        """A program that none of our tables names, as is-bot's patterns see it."""
        usual = _USUAL_BROWSER.fullmatch(text)
        if usual and not _NOT_A_MODEL.search(_DEVICES.sub("", (usual["model"] or "").lower())):
            return None
        if not text or not self._bots.is_bot(_DEVICES.sub("device", text)):
            return None
        name = _ROBOT_NAME.search(text)
        return Robot("crawler", name[0] if name else "")

    def _in_app(self, app: App, text: str, lowered: str) -> Agent:
        agent = self._browser(text, lowered)
        version = _number(lowered.partition(app.version)[2]) if app.version else None
        return agent._replace(browser=app.name, browser_version=version, app=app.name)

    def _browser(self, text: str, lowered: str) -> Agent:
        found = self._resolve(text, Domain.USER_AGENT | Domain.OS)
        browser, system = found.user_agent, found.os
        return Agent(
            device=_device(lowered),
            os=_short(_SYSTEMS.get(system.family, system.family)) if system else None,
            os_version=_number(system.major) if system else None,
            browser=_short(_BROWSERS.get(browser.family, browser.family)) if browser else None,
            browser_version=_number(browser.major) if browser else None,
        )


def _program(robot: Robot) -> Agent:
    # Which browser and device it claims besides is disguise, and would only blur reports on people's.
    return Agent(device="other", automation=robot.kind, robot=_short(robot.name))


def _device(lowered: str) -> Device:
    for kind, words in _KINDS:
        if _holds(lowered, words):
            return kind
    if "android" in lowered:
        # Browsers leave `Mobile` out on tablets; an app's own client never says it.
        return "tablet" if lowered.startswith("mozilla") else "phone"
    return "desktop" if _holds(lowered, _DESKTOP) else "unknown"


def _holds(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110  any() of a generator takes twice as long
        if word in text:
            return True
    return False


def _short(text: str) -> str | None:
    """The printable characters of a name, at most 40; None when none is left."""
    return "".join(c for c in text if c.isprintable())[:MAX_NAME].strip() or None


def _number(text: str | None) -> str | None:
    digits = re.match(r"[0-9]{1,6}", text or "")
    return digits[0] if digits else None
