"""The one exception that a user is meant to see."""


class UsageError(Exception):
    """A request that cannot be served as it stands; its message is one line and says what to do next.

    The command line prints it on standard error and exits with status 2; the app shows it beside the field
    it concerns.
    """
