"""The strategies that ship, one file each, loaded by the same door as a user's."""
