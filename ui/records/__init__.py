"""What the services return to the page and the command line: records to show, with no behaviour of their own."""
