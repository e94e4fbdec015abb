"""What pruning saves at full size, measured on one GPU: the published dimensions of LLaVA-1.5, LLaVA-NeXT and
Qwen2.5-VL with random weights, so that nothing is downloaded.

    python benchmarks/gpu.py                                            # all models, batch 1
    python benchmarks/gpu.py --models llava-next-7b --profile           # one model; where a prefill's time goes
    python benchmarks/gpu.py --models llava-next-7b --rounds 0 --batches --methods ilp plc crop  # the largest batches
    python benchmarks/gpu.py --tiny --device cpu --budget 30% --rounds 1 --out /tmp/gpu.json  # tries the script itself

Results go to gpu.json and gpu.md in benchmarks/results after every step and are merged by model and section, so that a
machine that is lent for minutes at a time can do them one by one. Needs torch for the GPU, and the other packages of
requirements.txt; on a bare machine whose transformers is older than 5.18, install a newer one from a folder of wheels
first: pip install --no-deps --no-index --find-links wheels transformers

docs/full-size.md says what was found on an H200.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.full_size.command import main

if __name__ == "__main__":
    sys.exit(main())
