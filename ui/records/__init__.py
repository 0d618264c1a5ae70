"""Records that the services return for the page and the command line to show, with no behaviour of their own."""
