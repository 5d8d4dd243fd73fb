#!/usr/bin/env bash
# Every command once, on forty drawn products: does this installation work? `vtax` must be on the PATH.
# `make test-lowest` runs it with the oldest dependencies allowed, `make test-package` from the wheel.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"

images=(--img_dir catalogue/images)
vtax --help > /dev/null
vtax list losses > /dev/null
vtax synthesize --out catalogue --rows 40 --image_size 48 --seed 0
# Two of three rows get a title that spells their first label.
awk -F, 'NR == 1 { print $0 ",title"; next } { print $0 "," (NR % 3 ? "New " $4 : "") }' \
  catalogue/train.csv > titled.csv
vtax inspect titled.csv "${images[@]}" --text_columns title --out catalogue.toml
vtax train "${images[@]}" --catalogue catalogue.toml --csv_path titled.csv \
  --attributes_config catalogue/attrs_config.json --save_dir . --run_name run \
  --backbone test_vit --pretrained_ckpt none --image_size 32 32 --precision 32 \
  --loss_type LDAM --train_rule DRW --method PCGrad \
  --epochs 2 --batch_size 8 --train_workers 1 --val_workers 1
vtax evaluate "${images[@]}" --csv_path catalogue/test_labels.csv \
  --ckpt_path run/best_score.pt --out report.json
vtax predict "${images[@]}" --csv_path titled.csv \
  --ckpt_path run/best_score.pt --out_csv_path torch.csv --probabilities
vtax fill titled.csv "${images[@]}" --ckpt_path run/best_score.pt \
  --out_csv_path filled.csv --target_precision 0.5
vtax export run/best_score.pt --to onnx --out bundle
vtax predict "${images[@]}" --csv_path titled.csv \
  --ckpt_path bundle --out_csv_path onnx.csv --probabilities
vtax export run/best_score.pt --to openvino --int8 --min_agreement 0 --out int8 \
  "${images[@]}" --csv_path catalogue/train.csv
vtax predict "${images[@]}" --csv_path catalogue/test.csv \
  --ckpt_path int8 --out_csv_path int8.csv --probabilities
test "$(wc -l < torch.csv)" = "$(wc -l < onnx.csv)"
test "$(wc -l < titled.csv)" = "$(wc -l < filled.csv)"
echo "smoke test passed"
