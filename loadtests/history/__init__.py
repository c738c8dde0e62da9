"""A long history in a migrated database: months of clicks, starts and conversions, as ads for Telegram bots in Brazil have them.

It is made up, the same for the same seed, and written by plain SQL: what reports and dashboard are measured on. Its
pseudonyms are random bytes and it has no sealed originals: nobody is in it.
"""
