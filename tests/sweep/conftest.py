"""Messages of a sweep, for tests to read."""

import logging

import pytest


@pytest.fixture
def messages(caplog):
    """Text of all messages so far: `messages()`."""
    caplog.set_level(logging.INFO, "hpstudy")
    return lambda: caplog.text
