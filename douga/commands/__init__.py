"""The subcommands that belong to inference. Each has `add_arguments`, `run` and, for --help, EXAMPLES."""
