"""The commands of `brandprint`, a file for each kind of work. Heavy libraries are imported inside the commands, so that --help is instant."""
