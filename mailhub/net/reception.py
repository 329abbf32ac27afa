"""The factories of conversations: whom a listener lets in, and how it lets all of them go."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory

from mailhub.net.conversation import Conversation, Terms
from mailhub.net.turnstile import Full, Turnstile
from mailhub.ports.conversation import Client, Session


class Reception:
    """What every factory of conversations has; a mixin before Twisted's factory.

    Attributes:
        terms: May be replaced: it counts for what happens from then on.
        turnstile: Counts those who are in; several listeners may share it.
        conversations: Those that are under way here.
    """

    terms: Terms
    turnstile: Turnstile
    conversations: set[Conversation]

    def open(self, terms: Terms, turnstile: Turnstile | None = None) -> None:
        """Be ready for conversations."""
        self.terms = terms
        self.turnstile = turnstile or Turnstile()
        self.conversations = set()
        self._empty: Deferred[None] | None = None

    def entered(self, conversation: Conversation) -> bytes | None:
        """Let a conversation in: None, or what it is told instead."""
        full = self.turnstile.enter(conversation.client.address)
        if full is None:
            self.conversations.add(conversation)
            return None
        farewells = self.terms.farewells
        return farewells.crowded if full is Full.IN_ALL else farewells.greedy

    def left(self, conversation: Conversation) -> None:
        """One that was let in has ended."""
        self.turnstile.leave(conversation.client.address)
        self.conversations.discard(conversation)
        if self._empty is not None and not self.conversations:
            empty, self._empty = self._empty, None
            empty.callback(None)

    async def stop(self, patience: float) -> None:
        """End all conversations: with a farewell, or after `patience` seconds without.

        The port should be closed before.
        """
        for conversation in tuple(self.conversations):
            conversation.go_down()
        if not self.conversations:
            return
        self._empty = Deferred()
        late = self.terms.clock.callLater(patience, self._abort)
        await self._empty
        if late.active():
            late.cancel()

    def _abort(self) -> None:
        for conversation in tuple(self.conversations):
            conversation.abort()


class ConversationFactory(Reception, ServerFactory):
    """Conversations with sessions that a function makes: for POP3, IMAP and the like."""

    protocol = Conversation  # type: ignore[assignment]  # its factory is narrower
    noisy = False

    def __init__(
        self,
        make: Callable[[Client], Session],
        terms: Terms,
        turnstile: Turnstile | None = None,
    ) -> None:
        self.open(terms, turnstile)
        self._make = make

    def session_for(self, conversation: Conversation) -> Session:
        """A new session with this conversation's client."""
        return self._make(conversation.client)
