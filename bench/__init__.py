"""Measures orderctl beside what its databases and libraries can do at all; see docs/performance.md."""
