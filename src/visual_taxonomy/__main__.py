"""`python -m visual_taxonomy` is `vtax`."""

from visual_taxonomy.cli import main

if __name__ == "__main__":
    main()
