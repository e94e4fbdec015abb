"""`python -m crop_core`: the command line, `crop_core.cli.main`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("crop_core.cli.main", run_name="__main__")
