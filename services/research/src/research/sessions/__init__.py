"""What markets and trades do by session and by hour (REG-11 to REG-13), and which hours have earned their place."""
