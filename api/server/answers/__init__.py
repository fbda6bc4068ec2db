"""What the API answers, as its description shows it: one module per resource."""
