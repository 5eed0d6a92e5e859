"""Running on Dataflow: options and checks, submission, and the entry point of the Flex template."""
