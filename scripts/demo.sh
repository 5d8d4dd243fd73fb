#!/usr/bin/env bash
# The main job on a drawn catalogue: draw, train, evaluate, predict, show. `make demo` calls it.
set -euo pipefail
rows="${DEMO_ROWS:-3000}"
epochs="${DEMO_EPOCHS:-12}"
demo="${DEMO_DIR:-demo}"
rm -rf "$demo"

echo "== drawing $rows products"
vtax synthesize --out "$demo/catalogue" --rows "$rows" --seed 0

echo "== training a small ViT from random weights"
vtax train \
  --config configs/demo.toml \
  --img_dir "$demo/catalogue/images" \
  --csv_path "$demo/catalogue/train.csv" \
  --attributes_config "$demo/catalogue/attrs_config.json" \
  --save_dir "$demo" --run_name run \
  --epochs "$epochs"

echo "== scores on the test rows, which training has not seen"
vtax evaluate \
  --img_dir "$demo/catalogue/images" \
  --csv_path "$demo/catalogue/test_labels.csv" \
  --ckpt_path "$demo/run/best_score.pt" \
  --out "$demo/test_report.json" \
  --plots "$demo" \
  --report "$demo/test_report.html"

echo "== predictions of the test rows"
vtax predict \
  --img_dir "$demo/catalogue/images" \
  --csv_path "$demo/catalogue/test.csv" \
  --ckpt_path "$demo/run/best_score.pt" \
  --out_csv_path "$demo/predictions.csv" \
  --probabilities

head -n 4 "$demo/predictions.csv"

echo "== the same at target precision 0.8: what is not sure enough stays open"
vtax predict \
  --img_dir "$demo/catalogue/images" \
  --csv_path "$demo/catalogue/test.csv" \
  --ckpt_path "$demo/run/best_score.pt" \
  --out_csv_path "$demo/sure_predictions.csv" \
  --format long-csv \
  --target_precision 0.8
awk -F, 'NR > 1 { n++; if ($NF ~ /^unknown/) u++ }
  END { printf "unknown at target precision 0.8: %d of %d attributes (%.0f %%)\n", u, n, 100 * u / n }' \
  "$demo/sure_predictions.csv"
echo "look at: $demo/run/report.html $demo/test_report.html $demo/gallery.png"
