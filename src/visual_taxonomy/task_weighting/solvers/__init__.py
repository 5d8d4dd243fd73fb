"""Small numerical programs that know nothing of tasks."""
