"""Rules at both borders: suites as data, and Great Expectations that judges by them."""
