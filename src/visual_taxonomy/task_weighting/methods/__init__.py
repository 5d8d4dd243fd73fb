"""The task-weighting methods, a file each."""
