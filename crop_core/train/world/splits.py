"""Splits of scenes by use: disjoint ranges of seeds, so that nothing is measured on scenes that it was fitted to.

Scenes below TRAINING, except LOAD, have styles, pairs of names and phrasings that training never saw. When they last
ran, three uses shared the scenes from 700 000 on; the shipped attention rule keeps them.
"""

from __future__ import annotations

BENCHMARK = range(70_000)  # of the README, and of `python -m crop_core bench`
LOAD = range(70_000, 100_000)  # the images of `benchmarks.load`
USER_QUESTIONS = range(100_000, 130_000)  # of `python -m crop_core bench world_users`
FAMILIAR_IMAGES = range(130_000, 160_000)  # of `benchmarks.fit_familiar_images`
CHECK = range(160_000, 190_000)  # of `python -m crop_core check`
TEXT_LOCALIZER = range(190_000, 220_000)  # for choosing rules of the text localizer; today's were: from 160 000 on
COUNTS = range(220_000, 250_000)  # of `benchmarks.count_all`
INDEPENDENT = range(250_000, 280_000)  # of `python -m crop_core bench world_independent`, other scenes altogether
PEER_SEARCH = range(280_000, 310_000)  # of `benchmarks.peer_search`
EXAMPLES = range(500_000, 550_000)  # of the app, chosen by seed
FAILING_EXAMPLES = range(550_000, 600_000)  # searched; those in assets/examples are from 700 000 on
CALIBRATION = range(600_000, 700_000)  # of the bundled localizer
ATTENTION_RULE = range(700_000, 750_000)  # of attention rules: the shipped one, and `localizer calibrate`
SEARCH_DEVELOPMENT = range(750_000, 800_000)  # those in search.json are from 700 000 on
SEARCH_HELD_OUT = range(800_000, 900_000)
PLC_HELD_OUT = range(900_000, 1_000_000)
TRAINING = range(1_000_000, 1_500_000)  # of the bundled models
PLC_TRAINING = range(1_500_000, 2_000_000)  # of the learned PLC
