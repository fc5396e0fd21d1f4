"""What a machine without registry or engine lacks: a private Docker Engine, and images made from Debian's packages."""
