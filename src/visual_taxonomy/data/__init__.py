"""From table and images to batches."""
