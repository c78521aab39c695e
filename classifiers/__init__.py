"""Vectors to P(fake): grouped splits, light classifiers, metrics with group-bootstrap intervals, channel importance.

Arrays and plain settings in, results out; nothing here reads tables or prints. P(fake) is in [0, 1] and 1 means fake.
"""
