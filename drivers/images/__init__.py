"""Building operating system images and packing them (xCAT's genimage and packimage)."""
