"""Pullwright: hand it a task, get back a pull request and the proof that it works."""

__version__ = "0.1.0"
