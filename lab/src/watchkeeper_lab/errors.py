"""What goes wrong in a way a person can do something about."""


class LabError(Exception):
    """A failure told in two lines: what happened, and what to do next.

    Parameters
    ----------
    what
        What happened, and why, in one line.
    hint
        What to do next, in one line; empty where there is nothing to advise.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what if not hint else f"{what}\n{hint}")
        self.what = what
        self.hint = hint


class BadInputError(LabError):
    """The user asked for something that does not exist or makes no sense."""

    exit_code = 2


class MissingError(LabError):
    """This machine lacks something that the user has to install."""

    exit_code = 2
