"""From a checkpoint to a folder that runs elsewhere, and how far its answers are the same."""
