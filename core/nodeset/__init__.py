"""What `nodeset` decides, as rules without any I/O: words, images, files, kernel arguments, loaders."""
