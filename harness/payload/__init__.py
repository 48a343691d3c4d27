"""The fine-tune itself, run inside a stack's own environment.

This package imports the standard library and the stack's packages, nothing else: it is started as
`<stack>/bin/python <this folder> job.json` and answers through an events file (see `events`).
"""
