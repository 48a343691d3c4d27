"""Addresses and messages without the credentials that they may hold."""

import os
import re
from urllib.parse import unquote

_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def redacted(uri: str) -> str:
    """Return an address without user, password, query and fragment."""
    without_user = re.sub(r"//[^/?#]*@", "//", uri)
    return re.split(r"[?#]", without_user, maxsplit=1)[0]


def without_credentials(text: str, uri: str) -> str:
    """Return a message with `***` in place of what is secret in an address or in MLflow's variables."""
    secrets = {os.environ.get(name) or "" for name in _SECRET_VARIABLES}
    address = uri.partition("//")[2]
    user_info = address[: address.rfind("@")] if "@" in address else ""
    password = user_info.partition(":")[2]
    query = re.split(r"[?#]", uri, maxsplit=1)[1:]
    secrets |= {user_info, password, unquote(password), *query}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"//[^/\s]*@", "//***@", text)
