"""Cuepoint: alerts from trend records and ad decisions from player events, as they arrive."""

__version__ = "0.1.0"
