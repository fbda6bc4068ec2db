"""The report on a study: its data, and the one page that shows them. Pure but for `gather`."""
