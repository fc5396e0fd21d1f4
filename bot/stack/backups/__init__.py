"""Keep the data of services: made and read by commands in containers, in files of the state folder."""
