"""What a proxy can do to a connection, one trouble a file.

To learn them read noop, latency, bandwidth, drop, reset, blackhole, flap and lose_reply, in this order.
"""
