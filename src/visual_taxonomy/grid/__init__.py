"""Many training runs: what to run, in which processes, and the ledger of what came of it."""
