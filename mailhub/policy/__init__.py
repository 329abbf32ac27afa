"""Verdicts: who may send what where, routes, aliases, loops, retries.

Core: imports `mail` and `ports`.
"""
