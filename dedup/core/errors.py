"""The base of the errors that are shown to an operator as they are."""


class ExplainedError(Exception):
    """An error whose text names what is wrong and the cure; it is shown without a traceback."""


class SettingsError(ExplainedError, ValueError):
    """One or more settings can't be used; the text has a line for each."""
