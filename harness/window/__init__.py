"""A GPU machine that is lent for minutes: what is measured there, in which order, and what comes back."""
