"""The one exception that means: the user can mend this."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can put right; its message is one clear sentence, shown without a traceback."""
