"""From probabilities to answers: calibration, decision rule, "unknown". NumPy only."""
