"""`make audit`: the built site under other people's tools, axe-core, the W3C's validator and Lighthouse."""
