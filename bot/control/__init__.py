"""Let other programs of this machine speak to the running bot, through a unix socket in the state folder."""
