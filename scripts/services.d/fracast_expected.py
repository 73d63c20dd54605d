"""Makes fracast_expected.json: what fracast 0.1.0 itself says of the series of fracast_series.py, in single precision.

    python3 -m venv venv && venv/bin/pip install torch==2.15.0 numpy==2.4.6 safetensors==0.8.0
    venv/bin/pip install --no-deps fracast==0.1.0
    venv/bin/python fracast_expected.py

Run with Python 3.11.7 on the CPU. PyTorch is more than 500 MB to download, which is why its answers are kept.
"""

import json
from pathlib import Path

import numpy
from fracast import FracastModel

from fracast_series import series


def main():
    model = FracastModel.from_pretrained(weights="fp32")
    said = {}
    for name, (values, horizon) in series().items():
        values = numpy.array([numpy.nan if x is None else x for x in values])
        quantiles = model.forecast(values, horizon=horizon)
        said[name] = [[float(f"{q:.12g}") for q in step] for step in quantiles]
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(said).replace("]], ", "]],\n") + "\n")


main()
