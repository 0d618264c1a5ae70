"""Apprentice: teach a small language model your way.

python app.py                 opens the page
python app.py COMMAND --help  everything that the page does has a command
"""

import sys

from ui.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
