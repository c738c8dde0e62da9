"""Conversions out: the outbox to Meta, and to webhooks."""
