"""The schema's history. One file a version, named by its number; files are only ever added."""
