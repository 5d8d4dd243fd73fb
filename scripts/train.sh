#!/usr/bin/env bash
# Train on your own catalogue by the published recipe of the original system:
# fill in the variables, then run this script.
set -euo pipefail

IMG_DIR="${IMG_DIR:-}"            # folder of the images: 000123.jpg or 123.png for id 123
CSV_PATH="${CSV_PATH:-}"          # labelled CSV: id, Category, len, attr_1 ... attr_10
ATTRS_CONFIG="${ATTRS_CONFIG:-}"  # taxonomy; made by vtax create-config, or empty
SAVE_DIR="${SAVE_DIR:-output}"
RUN_NAME="${RUN_NAME:-visual_taxonomy_train}"
PRETRAINED_CKPT="${PRETRAINED_CKPT:-auto}"  # auto: what scripts/download.sh fetched

if [[ -z "$IMG_DIR" || -z "$CSV_PATH" ]]; then
  echo "fill in IMG_DIR and CSV_PATH in $0" >&2
  exit 2
fi

vtax train \
  --img_dir "$IMG_DIR" \
  --csv_path "$CSV_PATH" \
  ${ATTRS_CONFIG:+--attributes_config "$ATTRS_CONFIG"} \
  --save_dir "$SAVE_DIR" \
  --run_name "$RUN_NAME" \
  --pretrained_ckpt "$PRETRAINED_CKPT" \
  --inter_linear --batch_norm --unfreeze_proj \
  --train_rule DRW --loss_type LDAM --patience 30 "$@"
