"""Fitting a network to labelled windows."""
