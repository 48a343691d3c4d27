"""Approved figures of a machine: made, kept, and the bands in which one further run falls."""
