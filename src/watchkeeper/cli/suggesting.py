"""A command that does not exist names the one that was meant: by its spelling, or by what it means. One that does says
in its usage what it cannot do without."""

import typer
from typer.core import TyperCommand, TyperGroup

SAME = (
    ("new", "make", "create", "add", "generate", "issue"),
    ("add", "new", "create", "make"),
    ("start", "begin", "add", "new", "create"),
    ("end", "stop", "remove", "delete", "cancel"),
    ("expire", "end", "stop", "remove", "delete", "cancel", "rm"),
    ("revoke", "remove", "delete", "rm", "drop", "expire"),
    ("archive", "remove", "delete", "rm", "clean", "prune"),
    ("list", "ls", "all"),
    ("show", "get", "info", "describe", "view", "inspect"),
    ("call", "run", "invoke", "execute"),
    ("status", "ps", "top", "health", "overview"),
    ("up", "run", "serve", "start", "daemon", "server"),
    ("fix", "heal", "repair", "remediate"),
    ("undo", "rollback", "revert"),
    ("ack", "acknowledge"),
    ("check", "validate", "lint"),
)
"""A command, and the words that others use for it."""
MOST = 12
"""Commands that are listed where none is near."""


def meant(word: str, commands: list[str]) -> str:
    """What to say of a word that is no command; empty where there is nothing to say.

    >>> meant("make", ["list", "new", "revoke"])
    "Did you mean 'new'?"
    >>> meant("frob", ["list", "new"])
    'There are: list, new.'
    """
    found = [first for first, *others in SAME if word in others and first in commands]
    if found:
        return f"Did you mean {' or '.join(repr(one) for one in found)}?"
    return f"There are: {', '.join(commands)}." if len(commands) <= MOST else ""


class Suggesting(TyperGroup):
    """Says what was meant where spelling alone does not tell."""

    def resolve_command(self, ctx: typer.Context, args: list[str]):  # pyright: ignore
        try:
            return super().resolve_command(ctx, args)
        except Exception as problem:
            said = getattr(problem, "message", "")
            if args and said and "Did you mean" not in said and "No such command" in said:
                setattr(problem, "message", f"{said} {meant(args[0], sorted(self.commands))}".rstrip())  # noqa: B010
            raise


class Needing(TyperCommand):
    """Its usage names the options that it needs, not only those that it takes."""

    def collect_usage_pieces(self, ctx: typer.Context):  # pyright: ignore
        needed = [
            f"{option.opts[-1]} {option.metavar or str(option.name).upper()}"
            for option in self.get_params(ctx)  # pyright: ignore
            if option.required and option.param_type_name == "option"
        ]
        return [*needed, *super().collect_usage_pieces(ctx)]  # pyright: ignore
