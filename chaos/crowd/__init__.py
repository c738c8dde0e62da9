"""The crowd of a drill: visitors who click on an ad and press START, each at their own moment. It sees only HTTP.

What each of them was told is written down (told.py); that is all the invariant checker believes of a drill's load.
"""
