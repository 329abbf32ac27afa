"""The configuration: INI to frozen values. Keep: imports the core, whose limits it fills in."""
