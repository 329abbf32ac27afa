"""Delivery: the intake, the queue runner, local and remote delivery. Edge."""
