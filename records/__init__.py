"""The hospital's patient records; raw records live only here."""
