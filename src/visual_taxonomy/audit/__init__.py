"""Labels worth a second look: probably wrong, contradicting each other, or easy to fill in."""
