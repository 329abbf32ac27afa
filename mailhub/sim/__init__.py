"""A virtual internet in virtual time; imports anything of mailhub, and only `cli` imports it."""
