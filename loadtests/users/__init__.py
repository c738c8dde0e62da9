"""The Locust users, one kind in each file. They are imported by the generator's own process only: Locust patches the whole
interpreter for gevent.
"""
