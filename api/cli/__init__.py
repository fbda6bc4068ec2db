"""The consilium command."""
