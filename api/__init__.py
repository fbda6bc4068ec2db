"""Settings and the consilium command: where the parts are composed."""
