"""Measurements that take minutes: `make bench-serve`, `make bench-overload`, `make soak`. Not part of the tests."""
