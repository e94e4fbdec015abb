"""`python -m crop_core.tiny crop-tiny`: train a bundled model from nothing, resumable at any time."""

from crop_core.tiny.train import main

if __name__ == "__main__":
    main()
