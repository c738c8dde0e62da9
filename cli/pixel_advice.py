"""How to mend what Meta refuses: one sentence for each code that the operator can do something about."""

from delivery.destination import Refusal
from privacy.pixel_tokens import TokenState

_RENEW = "make a new token in Events Manager (Settings, Conversions API), then run: trilha pixel token {pixel} --token-file -"
_RIGHTS = "give the token's system user the right to manage the pixel (Business settings, Data sources), then run: trilha pixel test {pixel} --code CODE"
_OF_CODE = {
    "190": _RENEW,
    "102": _RENEW,
    "104": _RENEW,
    "2500": _RENEW,
    "100/33": "Meta knows no such pixel, or this token may not use it: compare the id with Events Manager, and assign the pixel to the token's system user",
    "10": _RIGHTS,
    "200": _RIGHTS,
    "294": _RIGHTS,
    "2635": "this version of Meta's API is over: update Trilha",
    "timeout": "see whether this machine reaches TRILHA_META_URL, and try again",
    "connection": "see whether this machine reaches TRILHA_META_URL, and try again",
}
_OF_KIND = {
    "event": "the event itself is refused: look its code up in docs/how-to/connect-a-pixel.md",
    "configuration": _RENEW,
    "throttled": "Meta asks for less: wait a few minutes, and try again",
    "temporary": "this is Meta's own trouble: try again in a minute",
}
_PROOF = "the token's app demands a proof: give its secret too, with trilha pixel token {pixel} --token-file FILE --app-secret-file FILE"


def advice(refusal: Refusal, pixel: str) -> str:
    """What to do about a refusal of that pixel."""
    return _for(refusal).format(pixel=pixel)


def mending(pixel: str, state: TokenState) -> str:
    """What to do about a lane that is held."""
    if state == "unreadable":
        return f"run trilha keys import, or give the token again: trilha pixel token {pixel} --token-file -"
    if state == "none":
        return _RENEW.format(pixel=pixel)
    return (
        f"mend what it says, and it goes on by itself within minutes, or at once by: trilha pixel test {pixel} "
        f"--code CODE, or trilha pixel token {pixel} --token-file -"
    )


def _for(refusal: Refusal) -> str:
    # Meta says so by a bare 100, as it does of a bad event.
    if "appsecret_proof" in refusal.reason:
        return _PROOF
    return (
        _OF_CODE.get(refusal.code) or _OF_CODE.get(refusal.code.partition("/")[0]) or _OF_KIND[refusal.kind]
    )
