"""From table and pictures to batches."""
