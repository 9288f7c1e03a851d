"""Pictures that explain a network: where it errs, how it learned, what it looks for (`douga explain`)."""
