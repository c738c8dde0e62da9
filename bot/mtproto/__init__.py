"""Telegram's MTProto by Pyrogram (kurigram): the only room that imports it."""
