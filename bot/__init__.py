"""Telegram in, owner out. The use case stands in `associate`, without any Telegram library."""
