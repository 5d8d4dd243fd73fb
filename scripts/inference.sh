#!/usr/bin/env bash
# Predict the products of a CSV: fill in the variables, then run this script.
set -euo pipefail

IMG_DIR="${IMG_DIR:-}"      # folder of the images
CSV_PATH="${CSV_PATH:-}"    # CSV with id and Category
CKPT_PATH="${CKPT_PATH:-output/visual_taxonomy_train/best_score.pt}"  # checkpoint, or a folder

if [[ -z "$IMG_DIR" || -z "$CSV_PATH" ]]; then
  echo "fill in IMG_DIR and CSV_PATH in $0" >&2
  exit 2
fi

vtax predict --img_dir "$IMG_DIR" --csv_path "$CSV_PATH" --ckpt_path "$CKPT_PATH" "$@"
