"""One sub-command a file: its flags and the function it calls."""
