"""Files whose cells are filled one by one, while all their other bytes stay."""
