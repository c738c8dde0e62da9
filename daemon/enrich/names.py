"""Names that programs and apps give themselves in a user agent, in lower case.

A name is looked for anywhere in the text; `^` before it means at the beginning only, `#` after it that a digit follows.
Of several that fit, the first stands. Sources are in docs/reference/traffic.md.
"""

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

from domain.enrichment import Automation


class Robot(NamedTuple):
    """A program under the name it gives itself."""

    kind: Automation
    name: str


class App(NamedTuple):
    """An app with a browser of its own; `version` stands right before the app's version."""

    name: str
    version: str = ""


# Who fetches a page to show a card of it, once, because somebody shared or typed its address.
_PREVIEWS = {
    "line-poker": "line-poker",
    "kakaotalk-scrap": "kakaotalk-scrap",
    "facebookexternalhit": "facebookexternalhit",
    "facebot": "Facebot",
    "telegrambot": "TelegramBot",
    "^whatsapp/": "WhatsApp",
    "twitterbot": "Twitterbot",
    "linkedinbot": "LinkedInBot",
    "slackbot": "Slackbot",
    "slack-imgproxy": "Slack-ImgProxy",
    "discordbot": "Discordbot",
    "skypeuripreview": "SkypeUriPreview",
    "^viber/": "Viber",
    "snap url preview": "Snap URL Preview",
    "redditbot": "redditbot",
    "vkshare": "vkShare",
    "bingpreview": "BingPreview",
    "microsoftpreview": "MicrosoftPreview",
    "google web preview": "Google Web Preview",
    "google-pagerenderer": "Google-PageRenderer",
    "embedly": "Embedly",
    "iframely": "Iframely",
    "bitlybot": "bitlybot",
    "cardyb": "Cardyb",
    "^mastodon/": "Mastodon",
    "^http.rb/": "Mastodon",
    "^synapse": "Synapse",
    "mattermost": "Mattermost",
    "rocket.chat": "Rocket.Chat",
    "flipboardproxy": "FlipboardProxy",
    "tumblr/": "Tumblr",
    "zoombot": "ZoomBot",
}

# Who reads pages on its own account: search, models, advertising, archives.
_CRAWLERS = {
    "meta-externalads": "meta-externalads",
    "meta-externalagent": "meta-externalagent",
    "meta-externalfetcher": "meta-externalfetcher",
    "meta-webindexer": "meta-webindexer",
    "facebookcatalog": "facebookcatalog",
    "facebookbot": "FacebookBot",
    "tiktokspider": "TikTokSpider",
    "bytespider": "Bytespider",
    "adsbot-google": "AdsBot-Google",
    "mediapartners-google": "Mediapartners-Google",
    "storebot-google": "Storebot-Google",
    "google-inspectiontool": "Google-InspectionTool",
    "googleother": "GoogleOther",
    "googlebot": "Googlebot",
    "apis-google": "APIs-Google",
    "feedfetcher-google": "FeedFetcher-Google",
    "google-read-aloud": "Google-Read-Aloud",
    "google-adwords": "Google-Adwords",
    "google-safety": "Google-Safety",
    "bingbot": "bingbot",
    "adidxbot": "adidxbot",
    "yandex.com/bots": "YandexBot",
    "baiduspider": "Baiduspider",
    "duckduckbot": "DuckDuckBot",
    "duckassistbot": "DuckAssistBot",
    "applebot": "Applebot",
    "petalbot": "PetalBot",
    "pinterestbot": "Pinterestbot",
    "pinterest.com/bot": "Pinterestbot",
    "amazonbot": "Amazonbot",
    "amazonadbot": "AmazonAdBot",
    "gptbot": "GPTBot",
    "chatgpt-user": "ChatGPT-User",
    "oai-searchbot": "OAI-SearchBot",
    "oai-adsbot": "OAI-AdsBot",
    "claudebot": "ClaudeBot",
    "claude-user": "Claude-User",
    "claude-searchbot": "Claude-SearchBot",
    "anthropic-ai": "anthropic-ai",
    "perplexitybot": "PerplexityBot",
    "perplexity-user": "Perplexity-User",
    "mistralai-user": "MistralAI-User",
    "cohere-ai": "cohere-ai",
    "ccbot": "CCBot",
    "ahrefsbot": "AhrefsBot",
    "semrushbot": "SemrushBot",
    "mj12bot": "MJ12bot",
    "dotbot": "DotBot",
    "dataforseobot": "DataForSeoBot",
    "screaming frog": "Screaming Frog",
    "sogou web spider": "Sogou web spider",
    "ia_archiver": "ia_archiver",
    "archive.org_bot": "archive.org_bot",
    "criteobot": "CriteoBot",
}

# What a person runs to fetch pages without looking at them, machines that watch over sites, and driven browsers.
_TOOLS = {
    "headlesschrome": "HeadlessChrome",
    "phantomjs": "PhantomJS",
    "slimerjs": "SlimerJS",
    "puppeteer": "Puppeteer",
    "playwright": "Playwright",
    "selenium": "Selenium",
    "cypress/#": "Cypress",
    "chrome-lighthouse": "Lighthouse",
    "gtmetrix": "GTmetrix",
    "^curl/": "curl",
    "libcurl": "libcurl",
    "^wget": "Wget",
    "python-requests": "python-requests",
    "python-httpx": "httpx",
    "python-urllib": "urllib",
    "^python": "Python",
    "aiohttp": "aiohttp",
    "scrapy": "Scrapy",
    "go-http-client": "Go-http-client",
    "^go-": "Go",
    "apache-httpclient": "Apache-HttpClient",
    "^java": "Java",
    "axios/": "axios",
    "node-fetch": "node-fetch",
    "^node": "Node.js",
    "^undici": "undici",
    "^got": "got",
    "^postmanruntime": "Postman",
    "^insomnia": "Insomnia",
    "^httpie": "HTTPie",
    "^bruno": "Bruno",
    "guzzlehttp": "Guzzle",
    "^php": "PHP",
    "libwww-perl": "libwww-perl",
    "^ruby": "Ruby",
    "^faraday": "Faraday",
    "^reqwest": "reqwest",
    "^dart/": "Dart",
    "powershell": "PowerShell",
    "^k6": "k6",
    "^locust": "Locust",
    "apachebench": "ApacheBench",
    "jmeter": "JMeter",
    "^nmap": "Nmap",
    "nmap scripting": "Nmap",
    "sqlmap": "sqlmap",
    "nikto": "Nikto",
    "zgrab": "zgrab",
    "uptimerobot": "UptimeRobot",
    "pingdom": "Pingdom",
    "statuscake": "StatusCake",
    "site24x7": "Site24x7",
    "better uptime": "Better Uptime",
    "datadog": "Datadog",
    "^kube-probe": "kube-probe",
    "elb-healthchecker": "ELB-HealthChecker",
    "googlehc": "GoogleHC",
    "^prometheus": "Prometheus",
    "blackbox": "Blackbox Exporter",
}

# Libraries that apps fetch with. An app that names itself beside one is that app; one that does not is a tool.
_LIBRARIES = {
    "okhttp": "okhttp",
    "cfnetwork/": "CFNetwork",
    "^dalvik/": "Dalvik",
    "cronet": "Cronet",
}

_APPS = {
    "metaiab facebook": App("Facebook"),
    "metaiab instagram": App("Instagram"),
    "metaiab threads": App("Threads"),
    "metaiab messenger": App("Messenger"),
    "metaiab whatsapp": App("WhatsApp"),
    "barcelona #": App("Threads", "barcelona "),
    "instagram #": App("Instagram", "instagram "),
    "fb_iab/orca": App("Messenger", "fbav/"),
    "fban/orca": App("Messenger", "fbav/"),
    "fban/messenger": App("Messenger", "fbav/"),
    "fb_iab/messenger": App("Messenger", "fbav/"),
    "fban/ema": App("Facebook Lite", "fbav/"),
    "fb_iab/": App("Facebook", "fbav/"),
    "fban/": App("Facebook", "fbav/"),
    "fbav/#": App("Facebook", "fbav/"),
    "bytedancewebview": App("TikTok", "app_version/"),
    "musical_ly": App("TikTok", "app_version/"),
    "trill_#": App("TikTok", "app_version/"),
    "com.zhiliaoapp.musically": App("TikTok"),
    "tiktok #": App("TikTok", "tiktok "),
    "telegram-android/#": App("Telegram", "telegram-android/"),
    "telegram-ios/#": App("Telegram", "telegram-ios/"),
    "telegram-mac/#": App("Telegram", "telegram-mac/"),
    "whatsapp/#": App("WhatsApp"),
    "snapchat/#": App("Snapchat", "snapchat/"),
    "[pinterest/": App("Pinterest"),
    "pinterest for": App("Pinterest"),
    "linkedinapp": App("LinkedIn", "linkedinapp]/"),
    " line/#": App("LINE", " line/"),
    "kwai/#": App("Kwai", "kwai/"),
    "kwai_lite/#": App("Kwai", "kwai_lite/"),
    "twitter for": App("X"),
    "twitterandroid": App("X", "twitterandroid/"),
    " gsa/#": App("Google", " gsa/"),
    "googleapp/#": App("Google", "googleapp/"),
    "reddit/version": App("Reddit"),
    "reddit/#": App("Reddit"),
    " discord/#": App("Discord", " discord/"),
    "micromessenger/#": App("WeChat", "micromessenger/"),
    "kakaotalk": App("KakaoTalk"),
    "naver(inapp": App("NAVER"),
    "vkandroidapp": App("VK", "vkandroidapp/"),
    "viber/#": App("Viber", "viber/"),
}


T = TypeVar("T")


class Names(Generic[T]):
    """Finds the first of many names in a text. Its time is in proportion to the text, whatever the text is."""

    def __init__(self, named: Mapping[str, T]) -> None:
        self._rules = [
            (name.strip("^#"), name.startswith("^"), name.endswith("#"), what) for name, what in named.items()
        ]

    def first_in(self, lowered: str) -> T | None:
        """What the first name in the table's order that is in this lower-case text stands for."""
        for name, first, before_digit, what in self._rules:
            if name not in lowered:
                continue
            if first and not lowered.startswith(name):
                continue
            if before_digit and not _digit_follows(name, lowered):
                continue
            return what
        return None


def _digit_follows(name: str, text: str) -> bool:
    return any(part[:1].isdigit() for part in text.split(name)[1:])


def _robots(kind: Automation, names: Mapping[str, str]) -> dict[str, Robot]:
    return {pattern: Robot(kind, name) for pattern, name in names.items()}


ROBOTS = Names(_robots("preview", _PREVIEWS) | _robots("crawler", _CRAWLERS) | _robots("tool", _TOOLS))
APPS = Names(_APPS)
LIBRARIES = Names(_robots("tool", _LIBRARIES))
