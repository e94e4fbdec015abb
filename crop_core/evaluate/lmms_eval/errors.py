"""What can be wrong with what lmms-eval asks for."""


class LmmsError(ValueError):
    """A model argument or a request that cannot be; the message is one sentence."""


class BudgetMissed(RuntimeError):
    """A method that left more visual tokens than its budget: its accuracy would be called what it is not."""
