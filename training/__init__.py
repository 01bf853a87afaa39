"""Trains the float models of `models/`. A tool for whoever retrains: nothing else in the project needs Python."""
