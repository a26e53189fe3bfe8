"""The commands: parse, call one function, print, choose the exit status."""
