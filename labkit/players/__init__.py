"""Players: a checkpoint, the expert, random answers, a script, a person."""

from labkit.players.base import Answer, Player, Request, Tokens

__all__ = ["Answer", "Player", "Tokens", "Request"]
