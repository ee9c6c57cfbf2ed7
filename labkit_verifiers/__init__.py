"""labkit's cells under the name by which the package verifiers finds them: ``vf-eval labkit-verifiers``."""

from labkit.interop.verifiers_env import Chat, Dialogues, DialoguesEnv

__all__ = ["Chat", "Dialogues", "DialoguesEnv"]
