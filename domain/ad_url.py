"""What an ad's URL is made of: the parameters that a click keeps, how long they may be, and what to paste into the ad."""

MAX_VALUE = 500
MAX_NAME = 40
MAX_PARAMS = 24
AD_PARAMS = frozenset({"src", "sck", "xcod", "cid", "code"})
# Meta fills these in when it shows the ad; names and ids, because names change and ids say nothing.
URL_PARAMETERS = (
    "utm_source={{site_source_name}}"
    "&utm_medium={{adset.name}}|{{adset.id}}"
    "&utm_campaign={{campaign.name}}|{{campaign.id}}"
    "&utm_content={{ad.name}}|{{ad.id}}"
    "&utm_term={{placement}}"
    "&utm_id={{campaign.id}}"
)


def is_ad_param(name: str) -> bool:
    """True for the name, in lower case, of a parameter that a click keeps."""
    return (name.startswith("utm_") and len(name) <= MAX_NAME) or name in AD_PARAMS


def ad_url(base_url: str, slug: str) -> str:
    """What to paste into the ad of that link."""
    return f"{base_url}/go/{slug}?{URL_PARAMETERS}"
