"""Worlds on real sockets of this machine, for those who write programs that send mail."""
