"""Messages of a sweep, and calibrations that take no time."""

import logging

import pytest


@pytest.fixture
def messages(caplog):
    """Text of all messages so far: `messages()`."""
    caplog.set_level(logging.INFO, "hpstudy")
    return lambda: caplog.text


@pytest.fixture(autouse=True)
def short_calibration(monkeypatch):
    """A few steps are enough for a price here."""
    monkeypatch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)
