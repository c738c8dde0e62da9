"""How to mend a destination: what a test event, or a question of quality, was refused for, and what a lane is held for."""

from delivery.destination import Refusal
from domain.advice import advice, of_held
from domain.conversions import meta_lane
from privacy.pixel_tokens import TokenState

_OF_KIND = {
    "event": "Meta does not take the event itself: see what its code means in docs/how-to/connect-a-pixel.md",
    "throttled": "Meta asks for fewer calls: try again in some minutes",
    "temporary": "see whether this machine reaches TRILHA_META_URL, and try again in a minute",
}


def of_refusal(pixel: str, refusal: Refusal) -> str:
    """What to do about a call that is made by hand: nothing comes again by itself."""
    if refusal.kind == "configuration":
        return advice(meta_lane(pixel), "pending", refusal.code, refusal.reason)
    return _OF_KIND[refusal.kind]


def of_lane(lane: str) -> str:
    """What to do about a lane that is held by what its destination says."""
    return of_held(lane)


def of_hold(pixel: str, state: TokenState) -> str:
    """What to do about a pixel's lane that is held."""
    renew = f"trilha pixel token {pixel} --token-file -"
    if state == "unreadable":
        return f"run trilha keys import, or give the token again: {renew}"
    if state == "none":
        return f"make an access token in Events Manager (Settings, Conversions API), then: {renew}"
    return of_held(meta_lane(pixel))
