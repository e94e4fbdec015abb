"""`python -m crop_core.train.bundled crop-tiny`: train a bundled model from scratch, resumable at any time.

The name `plc` trains the learned PLC of the answerer.
"""

import sys

from crop_core.train.bundled import plc, train

if __name__ == "__main__":
    if sys.argv[1:2] == ["plc"]:
        plc.main(sys.argv[2:])
    else:
        train.main()
