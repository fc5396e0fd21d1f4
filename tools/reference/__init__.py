"""Write the reference pages of the documentation site from the code, each time that the site is built."""
