"""The packages that pip installs; everything else is in pyproject.toml, which cannot say that one lies elsewhere.

The bundled models and sprites stay in assets/, and are installed as crop_core/assets/, both known to
`crop_core.io.assets`.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["crop_core*", "ui*"]), "crop_core.assets"],
    package_dir={"crop_core.assets": "assets"},
)
