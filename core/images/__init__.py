"""What goes into an image: package lists, exclude lists, scripts, and where their files are looked for."""
