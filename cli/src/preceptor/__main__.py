"""Runs the command line as ``python -m preceptor``."""

from preceptor.main import app

if __name__ == "__main__":
    app()
