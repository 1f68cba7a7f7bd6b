"""Plants small packages that break one rule each, and checks that the rule finds them."""
