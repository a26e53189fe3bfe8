"""Daemons that Serval starts or configures."""
