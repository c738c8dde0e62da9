"""The invariant checker. It believes what the crowd was told and what the stores hold, and shares no code with the product.

`held.py` reads the stores with their plain drivers; `check.py` compares, purely, and says which invariant is broken where.
"""
