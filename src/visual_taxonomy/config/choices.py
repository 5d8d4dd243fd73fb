"""Types that several of the settings have."""

from typing import Literal

Parameters = dict[str, int | float | bool | str]
Precision = Literal["auto", "32", "bf16", "16"]
OutputFormat = Literal["csv", "long-csv", "parquet", "jsonl"]
