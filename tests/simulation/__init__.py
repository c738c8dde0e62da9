"""A day of traffic that is made up, with the truth about each click, to see what the scores make of it.

What is drawn here knows nothing of the signals: no threshold of theirs is imported, and honest and dishonest draw
their latencies, repeats and group sizes from distributions that overlap. How large a share each kind of traffic has is
an assumption (mix.py), not a measurement.
"""
