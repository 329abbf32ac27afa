"""The nouns of mail: addresses, envelopes, replies, headers, parts, flags, dates.

Core: imports the standard library and `idna` only.
"""
