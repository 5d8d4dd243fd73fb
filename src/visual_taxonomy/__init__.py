"""From a catalogue CSV with holes to calibrated, deployable attribute predictions."""

__version__ = "0.1.0"
