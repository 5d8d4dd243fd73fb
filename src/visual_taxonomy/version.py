"""The version, where every layer may read it: the front door imports from all of them."""

__version__ = "0.1.0"
