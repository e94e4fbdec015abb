"""What can be wrong with training data and training options."""


class TuneError(ValueError):
    """Data or options that cannot be used; the message is one sentence for the person who gave them."""
