"""What the servicenode and site tables ask of one service node's daemons; pure values and rules."""
