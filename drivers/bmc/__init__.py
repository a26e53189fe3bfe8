"""Talking to baseboard management controllers."""
