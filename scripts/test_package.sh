#!/usr/bin/env bash
# Build sdist and wheel; install the wheel in a clean environment and run every command once there;
# collect and run tests from the unpacked sdist. `make test-package` calls it, with `uv` and `pytest` on the PATH.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

uv build --quiet --no-build-isolation --out-dir "$work/dist" .
python -m venv "$work/venv"
uv pip install --quiet --python "$work/venv/bin/python" --constraint requirements/dev.lock \
  "$(echo "$work"/dist/*.whl)[export,openvino]"
PATH="$work/venv/bin:$PATH" bash scripts/smoke.sh

tar -xzf "$work"/dist/*.tar.gz -C "$work"
cd "$work"/visual_taxonomy-*/
export PYTHONPATH="$PWD/src"
pytest --collect-only -qq > /dev/null
pytest -p no:cacheprovider tests/test_cli.py tests/test_config.py tests/losses README.md docs/losses.md
