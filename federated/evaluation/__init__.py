"""How good models are, as a report shows it: curves, calibration, paired comparisons."""
