"""Escaping for the HTML page."""

from __future__ import annotations

import html

from replaytool.text import cut_long_words, escape_controls


def escape_text(value: str) -> str:
    """Escape untrusted text: show control characters, and make nothing markup."""
    return escape_html(escape_controls(value))


def escape_html(value: str) -> str:
    """Escape text for HTML. Cut its long words first: a cut escape would be markup."""
    return html.escape(cut_long_words(value))
