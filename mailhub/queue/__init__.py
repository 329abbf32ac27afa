"""What is accepted and not yet settled.

Items, DSNs and journeys are core; the spool that keeps them is keep.
"""
