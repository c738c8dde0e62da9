"""LGPD as functions: what is pseudonymous, what is sealed, under which key, until when."""
