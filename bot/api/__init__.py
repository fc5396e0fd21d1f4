"""Let other programs on this machine control the running bot, through a unix socket in the state folder."""
