"""The test and conformance kit of aws: everything that checks a server from outside."""
