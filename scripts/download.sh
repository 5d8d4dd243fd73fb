#!/usr/bin/env bash
# Fetch the published fashion weights of both backbones into weights/ (2.2 GB).
set -euo pipefail

WEIGHTS_DIR="${WEIGHTS_DIR:-weights}"

vtax download-weights ViT-B-32 --out_dir "$WEIGHTS_DIR" "$@"
vtax download-weights ViT-L-14 --out_dir "$WEIGHTS_DIR" "$@"
