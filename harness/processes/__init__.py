"""Payload processes: how one is started, ordered, watched and ended, and what it is a record of."""
