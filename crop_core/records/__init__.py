"""Records that rooms exchange. VERSION: of this package."""

VERSION = "0.1.0"
