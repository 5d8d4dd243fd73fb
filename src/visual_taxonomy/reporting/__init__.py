"""Images of what a run did."""
