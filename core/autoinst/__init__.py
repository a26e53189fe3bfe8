"""Installers' answers (kickstart, preseed, autoinstall) as rules without I/O: words, values, documents."""
