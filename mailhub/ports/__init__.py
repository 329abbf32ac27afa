"""What the core asks of the world: interfaces, and the values that cross them.

Sessions and policies are written against these alone; `mailhub.assembly` plugs
the store, the spool, the accounts and the network in.  Everything that may
wait is ``async def``: an implementation that need not wait simply returns, and
tests run the coroutine to its end in one step.

Nothing here knows Twisted, a clock or a disk.
"""
