"""What people call the figures of tasks, in the report and at the bedside alike."""

from __future__ import annotations

FIGURE_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC, one class against the rest",
    "brier": "Brier score",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R²",
    "c_index": "C-index",
}
