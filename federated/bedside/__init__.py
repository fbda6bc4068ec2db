"""What a prediction for one patient says besides its number; pure, over arrays.

reading     a model in double precision: log odds, last layer, gradients
explain     what speaks for and against, summing to the difference in log odds
calibrate   from a model's score to a chance, fitted on validation patients
similar     nearest patients, and whether a case lies beyond what was trained on
choose      which of several models a hospital keeps
overlay     an explanation shown on a picture
"""
