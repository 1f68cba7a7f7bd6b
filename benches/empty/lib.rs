//! An empty library: the package consists only of its tests.
