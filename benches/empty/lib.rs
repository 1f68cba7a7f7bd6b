//! Nothing: the tests are what is built here.
