"""Telegram's MTProto by Pyrogram (kurigram): the only room that imports it."""

import logging

# Its own log holds messages, and says in other words what is logged here.
logging.getLogger("pyrogram").setLevel(logging.CRITICAL)
